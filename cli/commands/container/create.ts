import { type Command, Option } from 'commander';
import type { CreateContainerRequest } from '../../../core/contract/container.ts';
import { withContext } from '../../context.ts';
import type { Io } from '../../io.ts';
import { showOutcome } from '../accepted.ts';
import {
  addMutationOptions,
  addWaitOption,
  examples,
  keyValue,
  megabytes,
  mutationOf,
  type PortOption,
  port,
  positiveNumber,
  type RestartOption,
  restartPolicy,
  type WaitingOptions,
} from '../options.ts';
import { addNetworkOptions, type NetworkOptions, networkOf, RULE_HELP } from './network.ts';

interface CreateOptions extends WaitingOptions, NetworkOptions {
  readonly name?: string;
  readonly runtimeType?: string;
  readonly switchName?: string;
  readonly entrypoint?: string;
  readonly env?: Record<string, string>;
  readonly workingDir?: string;
  readonly user?: string;
  readonly tty?: true;
  readonly stdin: boolean;
  readonly label?: Record<string, string>;
  readonly memory?: number;
  readonly cpus?: number;
  readonly disk?: number;
  readonly publish?: PortOption[];
  readonly restart?: RestartOption;
  readonly hostId?: string;
  readonly hostLabel?: Record<string, string>;
  readonly start?: true;
  readonly autoRemove?: true;
}

const omitIfEmpty = <T extends object>(value: T): T | undefined =>
  Object.values(value).some((one) => one !== undefined) ? value : undefined;

/** As in docker, the empty text is no entrypoint. */
const entrypointOf = ({ entrypoint }: CreateOptions): CreateContainerRequest['entrypoint'] =>
  entrypoint === undefined ? undefined : [entrypoint].filter((program) => program !== '');

/** Converts the options to a request. The control plane sets the defaults. */
const createRequest = (
  image: string,
  command: readonly string[],
  options: CreateOptions,
): CreateContainerRequest => ({
  image,
  name: options.name,
  runtimeType: options.runtimeType,
  switchName: options.switchName,
  network: networkOf(options),
  entrypoint: entrypointOf(options),
  command: command.length === 0 ? undefined : [...command],
  env: options.env,
  workingDir: options.workingDir,
  user: options.user,
  tty: options.tty,
  stdin: options.stdin ? undefined : false,
  labels: options.label,
  resources: omitIfEmpty({ memoryMB: options.memory, cpus: options.cpus, diskMB: options.disk }),
  ports: options.publish,
  restartPolicy: options.restart,
  placement: omitIfEmpty({ hostId: options.hostId, hostLabels: options.hostLabel }),
  start: options.start,
  autoRemove: options.autoRemove,
});

export const addCreate = (group: Command, io: Io): void => {
  const command = group
    .command('create')
    .summary('create a container (New-Container)')
    .description(
      'Create a container from an image. With --start, also start it. The arguments after "--" are its command, which follows the entrypoint of the image.',
    )
    .argument('<image>', 'name of the image')
    .argument('[command...]', 'command of the main process, after "--"; default: the command of the image')
    .option('-n, --name <name>', 'name of the container; default: a generated name')
    .addOption(
      new Option(
        '-r, --runtime-type <type>',
        'Default (shares the host’s kernel) or HyperV (has its own kernel)',
      ).default(undefined, 'Default'),
    )
    .option('--switch-name <name>', 'virtual switch to connect to')
    .option(
      '--entrypoint <program>',
      'program in place of the entrypoint and the command of the image; "" for none',
    )
    .option('-e, --env <KEY=VALUE>', 'environment variable; can be repeated', keyValue)
    .option('-w, --working-dir <path>', 'working directory of the main process')
    .option('-u, --user <name>', 'user of the main process')
    .option('-t, --tty', 'run the main process with a terminal')
    .option('--no-stdin', 'give the main process no input: it is at its end')
    .option('-l, --label <KEY=VALUE>', 'label; can be repeated', keyValue)
    .option('-m, --memory <MiB>', 'memory limit: 512, 512m, 2g', megabytes)
    .option('--cpus <number>', 'CPU limit', positiveNumber)
    .option('--disk <MiB>', 'size of the writable layer: 512, 512m, 2g (default: 2g)', megabytes)
    .option(
      '-p, --publish <port>',
      'port to publish: [[127.0.0.1:][HOSTPORT]:]CONTAINERPORT[/tcp|udp]; without HOSTPORT, the host chooses one; can be repeated',
      port,
    )
    .option(
      '--restart <policy>',
      'restart policy: no, always, on-failure or on-failure:RETRIES',
      restartPolicy,
    )
    .option('--host-id <id>', 'place it on this host')
    .option('--host-label <KEY=VALUE>', 'place it on a host with this label; can be repeated', keyValue)
    .option('-s, --start', 'start the container after it was created')
    .option('--auto-remove', 'remove the container when its main process ends');
  addNetworkOptions(command);
  addWaitOption(addMutationOptions(command, { ifMatch: false }));
  command.addHelpText('after', RULE_HELP);
  examples(
    command,
    'bulkhead container create nanoserver --name HYPVCON --runtime-type HyperV \\',
    '    --switch-name "Virtual Switch"',
    'bulkhead container create mini --start -- sleep 1000',
    'bulkhead container create mini --egress deny --allow example.com:443/tcp --start',
  ).action(
    withContext<[string, string[]], CreateOptions>(io, async (context, options, image, words) => {
      const body = createRequest(image, words, options);
      const accepted = await context.client.call('createContainer', { body, ...mutationOf(options) });
      await showOutcome(context, accepted, options);
    }),
  );
};
