import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { SCOPES } from '../../core/contract/http/routes.ts';
import { issueToken } from '../../local/identity/issue-token.ts';
import type { SigningKey } from '../../local/identity/signing-key.ts';
import { CommandError } from './errors.ts';

const KEY_FILE = 'issuer-key.json';
export const keyFileOf = (stateDir: string): string => join(stateDir, KEY_FILE);

const DAY_SECONDS = 86_400;

/** The developer token of a local Bulkhead: all scopes, one tenant, one day. */
export const developerToken = (key: SigningKey): Promise<string> =>
  issueToken(
    { key, now: Date.now, newId: randomUUID },
    { tenant: 'dev', scopes: SCOPES, subject: 'developer', expiresInSeconds: DAY_SECONDS },
  );

/** @param text scopes separated by commas. @throws CommandError with the valid scopes */
export const parseScopes = (text: string): readonly string[] => {
  const scopes = text
    .split(/[,\s]+/)
    .map((one) => one.trim())
    .filter((one) => one !== '');
  const unknown = scopes.filter((one) => !(SCOPES as readonly string[]).includes(one));
  if (unknown.length > 0)
    throw new CommandError(
      'unknown-scope',
      `Unknown scope ${unknown.map((one) => `"${one}"`).join(', ')}. Valid scopes: ${SCOPES.join(', ')}`,
    );
  return scopes;
};

const UNITS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3_600, d: DAY_SECONDS };

/** `90s`, `15m`, `1h`, `7d` in seconds. @throws CommandError */
export const parseDuration = (text: string): number => {
  const [, number, unit = ''] = /^(\d+)([smhd])$/.exec(text) ?? [];
  const seconds = Number(number) * (UNITS[unit] ?? Number.NaN);
  if (seconds > 0) return seconds;
  throw new CommandError('usage', `"${text}" is not a duration. Use a duration such as 90s, 15m, 1h or 7d.`);
};
