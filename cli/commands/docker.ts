import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { type Command, Option } from 'commander';
import { type Context, withContext } from '../context.ts';
import { listen, parseEndpoint } from '../docker/listen.ts';
import { createDockerBridge } from '../docker/server.ts';
import type { Io } from '../io.ts';
import { escapeControls } from '../output/text.ts';
import { VERSION } from '../version.ts';
import { examples } from './options.ts';

/** A socket in the user's runtime folder if there is one, otherwise in the home folder. */
const defaultHost = ({ env, home }: Io): string =>
  `unix://${join(env.XDG_RUNTIME_DIR || join(home, '.bulkhead'), 'bulkhead-docker.sock')}`;

const serve = async (context: Context, host: string): Promise<void> => {
  const { io, client, signal } = context;
  const { server, close, removeLeftovers } = createDockerBridge({
    client,
    connect: io.connect,
    now: Date.now,
    newId: () => randomBytes(32).toString('hex'),
    version: VERSION,
    log: (line) => io.stderr.write(`${escapeControls(line)}\n`),
  });
  const endpoint = parseEndpoint(host);
  // Without a control plane the command fails here, before the bridge listens.
  await client.call('getVersion', {});
  await removeLeftovers();
  const where = await listen(server, endpoint);
  if (context.isJson) context.write(`${JSON.stringify({ dockerHost: where, apiUrl: client.apiUrl })}\n`);
  else {
    context.write(`export DOCKER_HOST=${where}\n`);
    context.showNote(
      `With this variable set, docker uses Bulkhead at ${client.apiUrl}. Press Ctrl-C to stop the bridge. Containers keep running.`,
    );
  }
  await new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
  close();
};

export const addDocker = (program: Command, io: Io): void => {
  const command = program
    .command('docker')
    .summary('run a bridge for the docker CLI')
    .description(
      'Serve the Docker Engine API on a local socket, so that the docker CLI manages containers of Bulkhead. ' +
        '--isolation=hyperv means HyperV; process and default mean Default.',
    )
    .addOption(
      new Option(
        '-H, --host <endpoint>',
        'address to listen on: unix:///PATH or tcp://127.0.0.1:PORT',
      ).default(defaultHost(io), 'a socket of this user'),
    );
  examples(
    command,
    'bulkhead docker --host unix:///run/bulkhead.sock &',
    'docker -H unix:///run/bulkhead.sock run -it --isolation=hyperv mini sh',
  ).action(withContext<[], { readonly host: string }>(io, (context, { host }) => serve(context, host)));
};
