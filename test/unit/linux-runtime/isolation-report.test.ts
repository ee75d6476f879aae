import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { ISOLATION_PROBES, judgeIsolation, PROBE_NAMES } from '../../../agent/runtimes/isolation-probes.ts';
import { capabilityMask } from '../../../agent/runtimes/linux/container/capabilities.ts';
import { type HostSide, interpretReport } from '../../../agent/runtimes/linux/verify/interpret-report.ts';
import { parseReport, type ReportLine } from '../../../agent/runtimes/linux/verify/parse-report.ts';
import type { RuntimeType } from '../../../core/contract/primitives.ts';

const HOST_BOOT = '2325a23b-32ea-4ac2-b3c3-8aa83766a088';
const OTHER_BOOT = '00000000-32ea-4ac2-b3c3-8aa83766a088';
const HELD = capabilityMask().toString(16).padStart(16, '0');
const host: HostSide = {
  bootId: HOST_BOOT,
  namespaces: ['mnt:[1]', 'pid:[2]', 'user:[3]'],
  diskBytes: 1_000_000,
  forgedArrivals: 0,
  limits: {
    memory: '134217728 bytes',
    processes: '4096 processes',
    processor: '100000 microseconds a period',
  },
};
const privileges = (more: Readonly<Record<string, string>> = {}) =>
  Object.entries({
    CapEff: HELD,
    CapPrm: HELD,
    CapBnd: HELD,
    NoNewPrivs: '1',
    Seccomp: '2',
    TracerPid: '0',
    ...more,
  })
    .map(([name, value]) => `${name}: ${value}`)
    .join(', ');

/** The probe's output in a correctly isolated container. */
const lines = (runtimeType: RuntimeType, more: Readonly<Record<string, ReportLine>> = {}) =>
  new Map<string, ReportLine>([
    ...PROBE_NAMES.filter((name) =>
      ISOLATION_PROBES[name].expected[runtimeType].some((one) => one === 'absent'),
    ).map((name) => [name, { outcome: 'absent', detail: '' }] as const),
    [
      'kernel',
      { outcome: 'measured', detail: `6.1.0 boot ${runtimeType === 'Default' ? HOST_BOOT : OTHER_BOOT}` },
    ],
    ['namespaces', { outcome: 'measured', detail: 'mnt:[11], pid:[12], user:[13]' }],
    ['privileges', { outcome: 'measured', detail: privileges() }],
    ['disk-limit', { outcome: 'measured', detail: '5000 bytes' }],
    ['forged-source', { outcome: 'measured', detail: '3 datagrams sent' }],
    ...Object.entries(more),
  ]);
const unexpected = (runtimeType: RuntimeType, more = {}, side: HostSide = host): string[] =>
  judgeIsolation(runtimeType, interpretReport(lines(runtimeType, more), side), new Date())
    .probes.filter(({ expected }) => !expected)
    .map(({ name }) => name);

describe('the probe’s output', () => {
  const good = 'kernel\tmeasured\t6.1 boot x\nmounts\trefused\ttmpfs: EPERM\nend\n';

  test('is parsed line by line', () => {
    expect(parseReport(good)?.get('mounts')).toEqual({ outcome: 'refused', detail: 'tmpfs: EPERM' });
  });

  test.each([
    ['nothing', ''],
    ['without the end line', 'mounts\trefused\tx\n'],
    ['truncated', good.slice(0, -2)],
    ['with a line after the end', `${good}mounts\trefused\tx\n`],
    ['with a repeated name', `mounts\trefused\tx\n${good}`],
    ['with an unknown outcome', 'mounts\tfine\tx\nend\n'],
    ['with a control character', 'mounts\trefused\t\u001b[2J\nend\n'],
    ['with a line that is too long', `mounts\trefused\t${'x'.repeat(401)}\nend\n`],
    ['with a malformed line', 'mounts refused\nend\n'],
  ])('%s is discarded', (_, text) => {
    expect(parseReport(text)).toBeNull();
  });

  test('is parsed without throwing, regardless of its content', () => {
    fc.assert(fc.property(fc.string({ maxLength: 500 }), (text) => parseReport(text) !== undefined));
  });
});

describe.each<RuntimeType>(['Default', 'HyperV'])('outcomes of a %s container', (runtimeType) => {
  test('are all present and expected for a correctly isolated container', () => {
    expect(unexpected(runtimeType)).toEqual([]);
  });

  test('are all unexpected for an empty report', () => {
    const { probes, asExpected } = judgeIsolation(runtimeType, new Map(), new Date());
    expect(probes.map(({ name }) => name)).toEqual(PROBE_NAMES);
    expect(probes.every(({ expected, outcome }) => !expected && outcome === 'unknown')).toBe(true);
    expect(asExpected).toBe(false);
  });

  test.each(
    PROBE_NAMES.filter((name) => ISOLATION_PROBES[name].expected.Default.some((one) => one === 'absent')),
  )('%s reached is unexpected', (name) => {
    const reached = { [name]: { outcome: 'reached', detail: '' } };
    const traced = { privileges: { outcome: 'measured', detail: privileges({ TracerPid: '7' }) } };
    const side = name === 'forged-source' ? { ...host, forgedArrivals: 1 } : host;
    const more = name === 'tracer' ? traced : name === 'forged-source' ? {} : reached;
    expect(unexpected(runtimeType, more, side)).toEqual([name]);
  });

  test.each([
    ['capabilities', { CapBnd: '000001ffffffffff' }],
    ['capabilities', { CapEff: 'garbage' }],
    ['no-new-privileges', { NoNewPrivs: '0' }],
    ['system-calls', { Seccomp: '0' }],
  ])('%s that are not limited are unexpected: %j', (name, more) => {
    expect(
      unexpected(runtimeType, { privileges: { outcome: 'measured', detail: privileges(more) } }),
    ).toEqual([name]);
  });

  test('missing limits are unexpected', () => {
    const limits = { memory: null, processes: null, processor: null };
    expect(unexpected(runtimeType, {}, { ...host, limits })).toEqual([
      'memory-limit',
      'process-limit',
      'processor-limit',
    ]);
    expect(unexpected(runtimeType, {}, { ...host, diskBytes: 5_000 })).toEqual(['disk-limit']);
  });
});

describe('the kernel', () => {
  test('must differ from the host’s in a HyperV container, and be the host’s in a Default container', () => {
    const boot = (id: string) => ({ kernel: { outcome: 'measured', detail: `6.1.0 boot ${id}` } });
    expect(unexpected('HyperV', boot(HOST_BOOT))).toContain('kernel');
    expect(unexpected('Default', boot(OTHER_BOOT))).toContain('kernel');
    expect(unexpected('HyperV', boot('no id'))).toContain('kernel');
  });

  test('if it is shared, namespaces with the host’s numbers count as shared', () => {
    const same = { namespaces: { outcome: 'measured', detail: 'mnt:[1], pid:[12], user:[3]' } };
    expect(unexpected('Default', same)).toEqual(['namespaces', 'user-namespace']);
    expect(unexpected('HyperV', same)).toEqual([]);
  });
});
