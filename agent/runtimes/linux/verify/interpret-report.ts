import type { ProbeOutcome } from '../../../../core/contract/isolation-verification.ts';
import type { Observation, ProbeName } from '../../isolation-probes.ts';
import { PROBE_NAMES } from '../../isolation-probes.ts';
import { capabilityMask } from '../container/capabilities.ts';
import type { ReportLine } from './parse-report.ts';

/** The host's values, for comparison with the container's. */
export interface HostSide {
  readonly bootId: string;
  /** Such as `mnt:[4026531841]`. */
  readonly namespaces: readonly string[];
  readonly diskBytes: number;
  /** Number of received datagrams with a forged source. */
  readonly forgedArrivals: number;
  /** The limits of the container's cgroup; null where there is no limit. */
  readonly limits: {
    readonly memory: string | null;
    readonly processes: string | null;
    readonly processor: string | null;
  };
}

type Report = ReadonlyMap<string, ReportLine>;
const observe = (outcome: ProbeOutcome, detail: string): Observation => ({ outcome, detail });
const detailOf = (report: Report, name: string): string => report.get(name)?.detail ?? '';

const BOOT = /^(\S+) boot ([0-9a-f-]{36})$/;

const isKernelShared = (report: Report, host: HostSide): boolean =>
  BOOT.exec(detailOf(report, 'kernel'))?.[2] === host.bootId;

const kernel = (report: Report, host: HostSide): Observation => {
  const detail = detailOf(report, 'kernel');
  if (!BOOT.test(detail)) return observe('unknown', detail);
  return observe(isKernelShared(report, host) ? 'shared' : 'separate', detail);
};

/** Two kernels can use the same numbers for their initial namespaces, so numbers are compared only if the kernel is shared. */
const namespaces = (report: Report, host: HostSide, of: (kind: string) => boolean): Observation => {
  const own = detailOf(report, 'namespaces')
    .split(', ')
    .filter((one) => of(one.split(':')[0] ?? ''));
  if (own.length === 0) return observe('unknown', '');
  const same = isKernelShared(report, host) ? own.filter((one) => host.namespaces.includes(one)) : [];
  return same.length > 0
    ? observe('shared', `the same as the host’s: ${same.join(', ')}`)
    : observe('separate', own.join(', '));
};

const HEX = /^[0-9a-f]{16}$/;

const privileges = (report: Report): readonly (readonly [ProbeName, Observation])[] => {
  const status = new Map(
    detailOf(report, 'privileges')
      .split(', ')
      .map((entry) => entry.split(': ', 2) as [string, string]),
  );
  const sets = ['CapEff', 'CapPrm', 'CapBnd'].map((name) => [name, status.get(name) ?? ''] as const);
  const held = sets.map(([name, value]) => `${name} ${value}`).join(', ');
  const isLimited = sets.every(
    ([, value]) => HEX.test(value) && (BigInt(`0x${value}`) & ~capabilityMask()) === 0n,
  );
  const flag = (name: string, wanted: string, yes: ProbeOutcome, no: ProbeOutcome): Observation =>
    observe(status.get(name) === wanted ? yes : no, `${name} ${status.get(name) ?? 'not read'}`);
  return [
    ['capabilities', observe(isLimited ? 'limited' : 'unlimited', held)],
    ['no-new-privileges', flag('NoNewPrivs', '1', 'limited', 'unlimited')],
    ['system-calls', flag('Seccomp', '2', 'limited', 'unlimited')],
    ['tracer', flag('TracerPid', '0', 'absent', 'reached')],
  ];
};

const limit = (value: string | null): Observation =>
  value === null ? observe('unlimited', 'no limit') : observe('limited', value);

const disk = (report: Report, host: HostSide): Observation => {
  const detail = detailOf(report, 'disk-limit');
  const bytes = Number(/^(\d+) bytes$/.exec(detail)?.[1] ?? Number.NaN);
  if (Number.isNaN(bytes)) return observe('unknown', detail);
  return observe(
    bytes < host.diskBytes ? 'limited' : 'unlimited',
    `${detail} of ${host.diskBytes} on the host`,
  );
};

const forged = (report: Report, host: HostSide): Observation => {
  const line = report.get('forged-source');
  if (line === undefined) return observe('unknown', '');
  const detail = `${line.detail}${line.detail === '' ? '' : ', '}${host.forgedArrivals} arrived`;
  if (line.outcome === 'absent') return observe('absent', line.detail);
  return observe(host.forgedArrivals > 0 ? 'reached' : 'refused', detail);
};

const AS_TRIED: ReadonlySet<string> = new Set(['reached', 'refused', 'absent']);

/** Determines the outcome of each probe from the probe's report and the host's values. */
export const interpretReport = (report: Report, host: HostSide): ReadonlyMap<ProbeName, Observation> => {
  const tried = PROBE_NAMES.flatMap((name) => {
    const line = report.get(name);
    return line !== undefined && AS_TRIED.has(line.outcome)
      ? [[name, observe(line.outcome as ProbeOutcome, line.detail)] as const]
      : [];
  });
  return new Map<ProbeName, Observation>([
    ...tried,
    ['kernel', kernel(report, host)],
    ['namespaces', namespaces(report, host, (kind) => kind !== 'user')],
    ['user-namespace', namespaces(report, host, (kind) => kind === 'user')],
    ...privileges(report),
    ['memory-limit', limit(host.limits.memory)],
    ['process-limit', limit(host.limits.processes)],
    ['processor-limit', limit(host.limits.processor)],
    ['disk-limit', disk(report, host)],
    ['forged-source', forged(report, host)],
  ]);
};
