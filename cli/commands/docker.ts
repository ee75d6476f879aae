import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { type Command, Option } from 'commander';
import { acting, type Context } from '../context.ts';
import { listen, parseEndpoint } from '../docker/listen.ts';
import { createDockerBridge } from '../docker/server.ts';
import type { Io } from '../io.ts';
import { visible } from '../output/text.ts';
import { VERSION } from '../version.ts';
import { examples } from './options.ts';

/** A folder that is this user's own and goes with the session, where there is one. */
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
    log: (line) => io.stderr.write(`${visible(line)}\n`),
  });
  const endpoint = parseEndpoint(host);
  // Asked before anybody is told to come: a bridge to nowhere is no use.
  await client.call('getVersion', {});
  await removeLeftovers();
  const where = await listen(server, endpoint);
  if (context.isJson) context.write(`${JSON.stringify({ dockerHost: where, apiUrl: client.apiUrl })}\n`);
  else {
    context.write(`export DOCKER_HOST=${where}\n`);
    context.say(
      `docker talks to Bulkhead at ${client.apiUrl}, for whoever sets that. Ctrl-C ends it; containers go on.`,
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
    .summary('let the docker CLI work against Bulkhead')
    .description(
      'Serve the Docker Engine API on a socket of this machine, so that the docker CLI works against Bulkhead. ' +
        '--isolation=hyperv is HyperV; process and default are Default.',
    )
    .addOption(
      new Option('-H, --host <endpoint>', 'unix:///PATH, or tcp://127.0.0.1:PORT').default(
        defaultHost(io),
        'a socket of this user’s',
      ),
    );
  examples(
    command,
    'bulkhead docker --host unix:///run/bulkhead.sock &',
    'docker -H unix:///run/bulkhead.sock run -it --isolation=hyperv mini sh',
  ).action(acting<[], { readonly host: string }>(io, (context, { host }) => serve(context, host)));
};
