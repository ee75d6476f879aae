import type { Command } from 'commander';
import { withContext } from '../context.ts';
import type { Io } from '../io.ts';
import { findSettings } from '../settings/find-settings.ts';
import { storedPath } from '../settings/stored-settings.ts';
import { VERSION } from '../version.ts';
import { examples } from './options.ts';

/** The expiry of a token; undefined if it has none or cannot be parsed. */
const expiryOf = (token: string | undefined): string | undefined => {
  try {
    const payload = JSON.parse(Buffer.from(token?.split('.')[1] ?? '', 'base64url').toString()) as {
      exp?: unknown;
    };
    return typeof payload.exp === 'number' ? new Date(payload.exp * 1000).toISOString() : undefined;
  } catch {
    return undefined;
  }
};

export const addConfig = (program: Command, io: Io): void => {
  const command = program
    .command('config')
    .summary('show the configured control plane and the source of the setting')
    .description(
      'Show the configured control plane, the source of the setting, and when the token expires. The token is never shown.',
    );
  examples(command, 'bulkhead config').action(
    withContext<[], { readonly apiUrl?: string }>(io, async (context, { apiUrl }) => {
      const settings = findSettings(io, apiUrl);
      const shown = {
        apiUrl: settings.apiUrl,
        source: settings.source,
        token: settings.token === undefined ? 'none' : 'set',
        tokenExpiresAt: expiryOf(settings.token),
        loginFile: storedPath(io),
        version: VERSION,
      };
      context.showItem(shown, () => [
        ['ApiUrl', shown.apiUrl],
        ['Source', shown.source],
        ['Token', shown.token],
        ['TokenExpiresAt', shown.tokenExpiresAt],
        ['LoginFile', shown.loginFile],
        ['Version', shown.version],
      ]);
    }),
  );
};
