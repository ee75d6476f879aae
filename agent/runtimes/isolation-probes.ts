import type {
  IsolationVerification,
  ProbeOutcome,
  ProbeResult,
} from '../../core/contract/isolation-verification.ts';
import { PROBE_DETAIL_LENGTH } from '../../core/contract/isolation-verification.ts';
import type { RuntimeType } from '../../core/contract/primitives.ts';

interface Probe {
  readonly tried: string;
  readonly expected: Readonly<Record<RuntimeType, readonly ProbeOutcome[]>>;
}

const inBoth = (...outcomes: readonly ProbeOutcome[]): Probe['expected'] => ({
  Default: outcomes,
  HyperV: outcomes,
});
const DENIED = inBoth('refused', 'absent');
const LIMITED = inBoth('limited');

/** The probes, in the order of reports, with the expected outcomes for each runtime type. */
export const ISOLATION_PROBES = {
  kernel: {
    tried: 'Compare the boot id of the kernel with the host’s',
    expected: { Default: ['shared'], HyperV: ['separate'] },
  },
  namespaces: {
    tried: 'Compare mount, pid, network, ipc, uts and cgroup namespaces with the host’s',
    expected: inBoth('separate'),
  },
  'user-namespace': { tried: 'Compare the user namespace with the host’s', expected: inBoth('separate') },
  capabilities: { tried: 'Read the capabilities of a process that runs as root', expected: LIMITED },
  'no-new-privileges': { tried: 'Read whether a program can gain privileges', expected: LIMITED },
  'system-calls': { tried: 'Read whether a seccomp filter is in force', expected: LIMITED },
  tracer: { tried: 'Read whether a process traces the probe', expected: inBoth('absent') },
  'host-processes': { tried: 'Find a process of the host in /proc', expected: inBoth('absent') },
  'trace-host-process': { tried: 'Trace a process of the host', expected: DENIED },
  'host-files': {
    tried: 'Read a file of the host, directly and through /proc and parent folders',
    expected: inBoth('absent'),
  },
  'masked-files': { tried: 'Read kcore, keys, timers and firmware tables', expected: DENIED },
  'proc-writes': {
    tried: 'Open core_pattern, modprobe, sysrq-trigger and others for writing',
    expected: DENIED,
  },
  'sys-writes': { tried: 'Open files of /sys for writing', expected: DENIED },
  'device-nodes': { tried: 'Open devices in /dev other than the usual ones', expected: DENIED },
  'raw-disks': { tried: 'Create a node for each disk and read its first sector', expected: DENIED },
  mounts: { tried: 'Mount a tmpfs and bind-mount a folder', expected: DENIED },
  'new-namespaces': { tried: 'Create new namespaces, including a user namespace', expected: DENIED },
  'join-namespaces': { tried: 'Join a namespace', expected: DENIED },
  keyrings: { tried: 'Add, request and find keys', expected: DENIED },
  bpf: { tried: 'Create a BPF map', expected: DENIED },
  'perf-events': { tried: 'Count events of the processor and of the probe’s own process', expected: DENIED },
  'kernel-code': { tried: 'Load a kernel module and a new kernel', expected: DENIED },
  'file-handles': { tried: 'Open a file of the host by its handle', expected: DENIED },
  'io-uring': { tried: 'Set up an io_uring', expected: DENIED },
  userfaultfd: { tried: 'Handle page faults in user space', expected: DENIED },
  metadata: { tried: 'Connect to the metadata services of clouds', expected: DENIED },
  'host-services': { tried: 'Connect to a service on each address of the host', expected: DENIED },
  neighbours: { tried: 'Ping the other containers of the host', expected: DENIED },
  'forged-source': { tried: 'Send datagrams to the host from forged addresses', expected: DENIED },
  'memory-limit': { tried: 'Read the effective memory limit', expected: LIMITED },
  'process-limit': { tried: 'Read the effective limit on processes', expected: LIMITED },
  'processor-limit': { tried: 'Read the effective limit on processor time', expected: LIMITED },
  'disk-limit': { tried: 'Compare the size of the root file system with the host’s disk', expected: LIMITED },
} as const satisfies Readonly<Record<string, Probe>>;
export type ProbeName = keyof typeof ISOLATION_PROBES;
export const PROBE_NAMES = Object.keys(ISOLATION_PROBES) as readonly ProbeName[];

export interface Observation {
  readonly outcome: ProbeOutcome;
  readonly detail: string;
}

const NOTHING: Observation = { outcome: 'unknown', detail: 'The probe did not report this.' };

const judge = (name: ProbeName, runtimeType: RuntimeType, { outcome, detail }: Observation): ProbeResult => {
  const probe: Probe = ISOLATION_PROBES[name];
  return {
    name,
    tried: probe.tried,
    outcome,
    expected: probe.expected[runtimeType].includes(outcome),
    detail: detail.slice(0, PROBE_DETAIL_LENGTH),
  };
};

/** Compares each outcome with the expected ones. A missing outcome is unexpected. */
export const judgeIsolation = (
  runtimeType: RuntimeType,
  observed: ReadonlyMap<ProbeName, Observation>,
  verifiedAt: Date,
): IsolationVerification => {
  const probes = PROBE_NAMES.map((name) => judge(name, runtimeType, observed.get(name) ?? NOTHING));
  return {
    runtimeType,
    verifiedAt: verifiedAt.toISOString(),
    asExpected: probes.every(({ expected }) => expected),
    probes,
  };
};
