import { hostname } from 'node:os';
import type { Artifacts } from '../../agent/runtimes/linux/artifacts.ts';
import { NAME_PATTERN } from '../../core/contract/primitives.ts';
import {
  type SetUpOptions,
  SetUpRefusedError,
  setUpLinuxRuntime,
} from '../../scripts/setup/linux-runtime.ts';
import type { LocalHost } from './hosts.ts';
import { type LocalOptions, ROOT } from './options.ts';

const SIMULATED_KINDS = ['nano-server', 'server-core', 'linux'] as const;

const ceilingOptions = ({ allowPrivate }: LocalOptions): readonly string[] =>
  allowPrivate.flatMap((range) => ['--allow-private', range]);

const simulatedHost = (kind: string, name: string, options: LocalOptions): LocalHost => ({
  name,
  agentOptions: [
    ...['--runtime', 'simulated', '--simulate', kind],
    ...(options.simulateMemoryMb === undefined
      ? []
      : ['--capacity-memory-mb', String(options.simulateMemoryMb)]),
    ...(options.simulateCpus === undefined ? [] : ['--capacity-cpus', String(options.simulateCpus)]),
    ...ceilingOptions(options),
  ],
});

/** `--simulate` simulated hosts, of the documented kinds in turn. */
const simulatedHosts = (options: LocalOptions): readonly LocalHost[] =>
  Array.from({ length: options.simulate }, (_, at) => {
    const kind = SIMULATED_KINDS[at % SIMULATED_KINDS.length] ?? 'linux';
    const round = Math.floor(at / SIMULATED_KINDS.length);
    return simulatedHost(kind, `simulated-${kind}${round === 0 ? '' : `-${round + 1}`}`, options);
  });

const ownName = (): string => {
  const name = hostname().split('.')[0] ?? '';
  return NAME_PATTERN.test(name) ? name : 'this-machine';
};

interface ChooseHosts {
  /** Called before each slow part of the set-up. */
  readonly report: (line: string) => void;
  /** Called with the reason if this machine cannot be a host. */
  readonly say: (line: string) => void;
  readonly setUp?: (options: SetUpOptions) => Promise<Pick<Artifacts, 'folder'>>;
}

/** This machine as a host, with a simulated one as the fallback. */
const ownHost = async (
  options: LocalOptions,
  fallback: LocalHost | null,
  { report, setUp = setUpLinuxRuntime }: ChooseHosts,
): Promise<LocalHost> => {
  const artifacts = await setUp({ root: ROOT, report });
  return {
    name: ownName(),
    agentOptions: [
      ...['--runtime', 'linux', '--artifacts', artifacts.folder],
      ...['--warm-vms', String(options.warmVms)],
      ...options.imageFolder.flatMap((folder) => ['--image-folder', folder]),
      ...ceilingOptions(options),
      ...(options.ephemeral ? ['--ephemeral'] : []),
    ],
    fallback,
  };
};

/**
 * The hosts to start: this machine, if it can be a host, and the requested simulated ones. If it cannot, `say` gets the
 * reason, and a simulated Linux host is the fallback if there would be no host.
 */
export const chooseHosts = async (
  options: LocalOptions,
  deps: ChooseHosts,
): Promise<readonly LocalHost[]> => {
  const simulated = simulatedHosts(options);
  const fallback = simulated.length > 0 ? null : simulatedHost('linux', 'simulated-linux', options);
  const fallbacks = fallback === null ? [] : [fallback];
  if (options.host === 'none') return simulated;
  if (options.host === 'simulated') return [...fallbacks, ...simulated];
  try {
    return [await ownHost(options, fallback, deps), ...simulated];
  } catch (error) {
    if (!(error instanceof SetUpRefusedError)) throw error;
    const what = fallback === null ? '' : ' A simulated Linux host is used instead.';
    deps.say(`This machine cannot run containers: ${error.message} ${error.suggestion}${what}`);
    return [...fallbacks, ...simulated];
  }
};
