import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';
import type { Command } from 'commander';
import { type Context, withContext } from '../context.ts';
import { SettingsError, UsageError } from '../errors.ts';
import type { Io } from '../io.ts';
import { checkApiUrl } from '../settings/check-url.ts';
import { writeStored } from '../settings/stored-settings.ts';
import { examples } from './options.ts';

const silent = new Writable({ write: (_chunk, _encoding, done) => done() });

/** The token: typed without echo on a terminal, otherwise read from stdin. Never an argument, which other users can see. */
const readToken = async ({ io }: Context): Promise<string> => {
  const isTerminal = (io.stdin as Partial<NodeJS.ReadStream>).isTTY === true;
  if (isTerminal) {
    io.stderr.write('Token: ');
    const lines = createInterface({ input: io.stdin, output: silent, terminal: true });
    try {
      return (await lines.question('', { signal: io.interrupted })).trim();
    } finally {
      lines.close();
      io.stderr.write('\n');
    }
  }
  let text = '';
  for await (const chunk of io.stdin) text += chunk.toString();
  return text.trim();
};

export const addLogin = (program: Command, io: Io): void => {
  const command = program
    .command('login')
    .summary('store the URL of a control plane and a token for it')
    .description(
      'Store the URL of a control plane (--api-url) and a token for it. The token is read from the terminal or from stdin.',
    );
  examples(
    command,
    'bulkhead login --api-url https://abc.execute-api.eu-west-1.amazonaws.com < token.txt',
  ).action(
    withContext<[], { readonly apiUrl?: string }>(io, async (context, { apiUrl }) => {
      if (apiUrl === undefined)
        throw new UsageError('No control plane was given.', 'bulkhead login --api-url URL');
      checkApiUrl(apiUrl, '--api-url');
      const token = await readToken(context);
      if (token === '' || /\s/.test(token))
        throw new SettingsError('The input is not a token.', 'Enter the token as a single line.');
      const client = context.clientOf({ apiUrl, token });
      // Checks that the URL is a Bulkhead API before the token is sent.
      const { version } = await client.call('getVersion', {});
      await client.call('listContainers', { query: { limit: '1' } });
      const path = writeStored(io, { apiUrl: client.apiUrl, token });
      if (context.isJson) context.showJson({ apiUrl: client.apiUrl, version, path });
      else
        context.showNote(
          `Bulkhead ${version} at ${client.apiUrl} accepts the token. The settings are stored in ${path}.`,
        );
    }),
  );
};
