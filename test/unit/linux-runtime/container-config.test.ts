import { describe, expect, test } from '@jest/globals';
import {
  ociConfig,
  resolveMain,
  resolveProcess,
} from '../../../agent/runtimes/linux/container/oci-config.ts';
import { parseGuestProcesses } from '../../../agent/runtimes/linux/container/process-lists.ts';
import { refuseMore, resolveProfile } from '../../../agent/runtimes/linux/container/seccomp.ts';
import { stopSignalOf } from '../../../agent/runtimes/linux/container/stop-signal.ts';
import { guestLine } from '../../../agent/runtimes/linux/vm/guest-text.ts';
import type { ContainerSpec } from '../../../core/contract/container.ts';
import { DEFAULT_NETWORK } from '../../../core/contract/network.ts';

const spec: ContainerSpec = {
  image: 'mini',
  switchName: 'NAT',
  ...DEFAULT_NETWORK,
  resources: { memoryMB: 64, cpus: 0.5, diskMB: 256 },
  restartPolicy: { name: 'no' },
};
const image = {
  entrypoint: ['/init'],
  command: ['a'],
  env: ['A=1', 'B=2'],
  workingDir: '/srv',
  user: 'www',
  stopSignal: '',
};

describe('the main process', () => {
  test('is the image’s, unless the container overrides it', () => {
    expect(resolveMain(spec, image)).toEqual({
      command: ['/init', 'a'],
      env: ['A=1', 'B=2'],
      workingDir: '/srv',
      user: 'www',
    });
    const own = { ...spec, command: ['b'], env: { B: '3' }, workingDir: '/', user: 'root' };
    expect(resolveMain(own, image)).toEqual({
      command: ['/init', 'b'],
      env: ['A=1', 'B=3'],
      workingDir: '/',
      user: 'root',
    });
  });

  test.each([
    ['the image’s entrypoint precedes the command', { command: ['b'] }, ['/init', 'b']],
    ['an entrypoint replaces the image’s entrypoint and command', { entrypoint: ['x', 'y'] }, ['x', 'y']],
    ['an entrypoint precedes the command', { entrypoint: ['x'], command: ['b'] }, ['x', 'b']],
    ['an empty entrypoint is none', { entrypoint: [], command: ['b'] }, ['b']],
  ])('%s', (_, own, command) => {
    expect(resolveMain({ ...spec, ...own }, image).command).toEqual(command);
  });

  test.each([
    [{}, { ...image, entrypoint: [], command: [] }],
    [{ entrypoint: [] }, image],
  ])('is refused without a command', (own, from) => {
    expect(() => resolveMain({ ...spec, ...own }, from)).toThrow(
      'Neither the container nor its image has a command',
    );
  });
});

/** Names and numbers in images: https://github.com/containerd/containerd/issues/5402, https://github.com/opencontainers/runc/issues/1766. */
describe('the stop signal', () => {
  test.each([
    ['', 15],
    ['SIGINT', 2],
    ['int', 2],
    ['3', 3],
    ['SIGRTMIN+3', 37],
    ['RTMAX-1', 63],
    ['SIGRTMIN', 34],
    ['SIGNOTHING', 15],
    ['0', 15],
    ['65', 15],
    ['RTMIN+99', 15],
    ['__proto__', 15],
  ])('%j is %i', (text, number) => {
    expect(stopSignalOf(text)).toBe(number);
  });
});

describe('a process of exec', () => {
  test('has the image’s user, environment and working directory, unless the request overrides them', () => {
    expect(resolveProcess({ command: ['id'], env: { A: '2' } }, image)).toEqual({
      command: ['id'],
      env: ['B=2', 'A=2'],
      workingDir: '/srv',
      user: 'www',
    });
  });

  test('has an absolute working directory', () => {
    const command = ['id'];
    expect(resolveProcess({ command }, { ...image, workingDir: 'srv/app' }).workingDir).toBe('/srv/app');
    expect(resolveProcess({ command }, { ...image, workingDir: '' }).workingDir).toBe('/');
  });
});

describe('the OCI configuration', () => {
  const config = ociConfig({
    id: 'd565453c-a4bd-4885-a585-bb4e0b85afe7',
    tag: 'abcde',
    spec,
    command: ['sleep', '1'],
    env: ['A=1'],
    workingDir: '/',
    identity: { uid: 33, gid: 33, home: '/srv', groups: [4] },
    root: '/run/root',
    networkNamespace: null,
    resolver: null,
    names: '/run/names',
    userNamespace: { path: '/run/user', firstId: 1_879_048_192 },
    seccomp: { defaultAction: 'SCMP_ACT_ERRNO' },
    countsSwap: true,
  });

  test('limits memory, processor time and processes', () => {
    expect(config.linux.resources).toMatchObject({
      memory: { limit: 64 * 1024 * 1024, swap: 64 * 1024 * 1024 },
      cpu: { quota: 50_000, period: 100_000 },
      pids: { limit: 4_096 },
    });
  });

  test('joins the user namespace, with its ids', () => {
    const ids = [{ containerID: 0, hostID: 1_879_048_192, size: 65_536 }];
    expect(config.linux).toMatchObject({ uidMappings: ids, gidMappings: ids });
    expect(config.linux.namespaces).toContainEqual({ type: 'user', path: '/run/user' });
  });

  test('gives users other than root no capabilities, and processes no new privileges', () => {
    expect(config.process.capabilities).toMatchObject({ effective: [], permitted: [] });
    expect(config.process.capabilities.bounding).not.toContain('CAP_SYS_ADMIN');
    expect(config.process.noNewPrivileges).toBe(true);
  });

  test('has a separate namespace of each kind and only the usual devices', () => {
    expect(config.linux.namespaces.map(({ type }) => type).sort()).toEqual([
      'cgroup',
      'ipc',
      'mount',
      'network',
      'pid',
      'user',
      'uts',
    ]);
    expect(config.linux.resources.devices).toEqual([{ allow: false, access: 'rwm' }]);
  });

  test('completes the environment', () => {
    expect(config.process.env).toEqual(['A=1', expect.stringMatching(/^PATH=/), 'HOME=/srv']);
  });
});

describe('the seccomp profile', () => {
  const rule = (name: string, more = {}) => ({ names: [name], action: 'SCMP_ACT_ALLOW', ...more });
  const resolved = resolveProfile(
    JSON.stringify({
      defaultAction: 'SCMP_ACT_ERRNO',
      archMap: [{ architecture: 'SCMP_ARCH_X86_64', subArchitectures: ['SCMP_ARCH_X86'] }],
      syscalls: [
        rule('read'),
        rule('mount', { includes: { caps: ['CAP_SYS_ADMIN'] } }),
        rule('chroot', { includes: { caps: ['CAP_SYS_CHROOT'] } }),
        rule('clone', { excludes: { caps: ['CAP_SYS_ADMIN'] } }),
        rule('s390', { includes: { arches: ['s390'] } }),
        rule('arch_prctl', { includes: { arches: ['amd64'] } }),
        rule('chown', { excludes: { caps: ['CAP_CHOWN'] } }),
      ],
    }),
  );

  test('keeps the rules for this machine and for the capabilities of containers', () => {
    const names = (resolved.syscalls as { names: string[] }[]).flatMap((one) => one.names);
    expect(names).toEqual(['read', 'chroot', 'clone', 'arch_prctl']);
    expect(resolved.architectures).toEqual(['SCMP_ARCH_X86_64', 'SCMP_ARCH_X86']);
  });
});

describe('system calls that no container can use', () => {
  const profile = refuseMore({
    defaultAction: 'SCMP_ACT_ERRNO',
    syscalls: [
      { names: ['read', 'unshare', 'clone'], action: 'SCMP_ACT_ALLOW' },
      { names: ['setns'], action: 'SCMP_ACT_ALLOW' },
    ],
  });
  const rulesOf = (name: string) => profile.syscalls.filter(({ names }) => names.includes(name));

  test('each has one rule that refuses it, even if the profile allows it', () => {
    for (const name of ['unshare', 'setns', 'mount', 'keyctl', 'clone3'])
      expect(rulesOf(name)).toMatchObject([{ action: 'SCMP_ACT_ERRNO' }]);
    expect(rulesOf('read')).toEqual([{ names: ['read'], action: 'SCMP_ACT_ALLOW' }]);
  });

  test('clone is allowed only without new namespaces', () => {
    expect(rulesOf('clone')).toMatchObject([
      { action: 'SCMP_ACT_ALLOW', args: [{ value: 0x7e020000, valueTwo: 0, op: 'SCMP_CMP_MASKED_EQ' }] },
    ]);
  });
});

describe('security-relevant arguments of system calls', () => {
  const HIGH = 1n << 32n;
  interface Rule {
    readonly names: readonly string[];
    readonly action: string;
    readonly errnoRet?: number;
    readonly args?: readonly { index: number; op: string; value: number; valueTwo: number }[];
  }
  const syscalls: readonly Rule[] = refuseMore({
    syscalls: [
      {
        names: ['socket', 'socketpair', 'socketcall', 'setsockopt', 'setrlimit', 'prlimit64', 'ioctl'],
        action: 'SCMP_ACT_ALLOW',
      },
    ],
  }).syscalls;
  const matchesOf = (rule: Rule, name: string, given: readonly bigint[]): string[] => {
    const matches = (rule.args ?? []).every(({ index, op, value, valueTwo }) => {
      const actual = given[index] ?? 0n;
      if (op === 'SCMP_CMP_EQ') return actual === BigInt(value);
      if (op === 'SCMP_CMP_NE') return actual !== BigInt(value);
      return (actual & BigInt(value)) === BigInt(valueTwo);
    });
    const result = rule.errnoRet !== undefined ? `${rule.action} ${rule.errnoRet}` : rule.action;
    return rule.names.includes(name) && matches ? [result] : [];
  };
  /**
   * The different actions of the rules that match. At most one is allowed, because a filter does not define which of
   * two has priority.
   */
  const actionsOf = (name: string, ...given: readonly bigint[]): string[] => [
    ...new Set(syscalls.flatMap((rule) => matchesOf(rule, name, given))),
  ];
  const ALLOWED = ['SCMP_ACT_ALLOW'];

  test('only families of the network namespace have sockets', () => {
    for (let family = 0n; family < 64n; family += 1n) {
      const allowed = [1n, 2n, 10n, 16n, 17n].includes(family) ? ALLOWED : [];
      expect(actionsOf('socket', family, 0x80803n, 0n)).toEqual(allowed);
      // The kernel reads 32 bits.
      if (![2n, 10n].includes(family)) expect(actionsOf('socket', family | HIGH, 3n, 0n)).toEqual([]);
      expect(actionsOf('socketpair', family)).toEqual(family === 1n ? ALLOWED : []);
    }
    expect(actionsOf('socketcall', 1n)).toEqual(['SCMP_ACT_ERRNO 1']);
  });

  test('only common protocols can have sockets, because others load modules into the host’s kernel', () => {
    const protocolsOf = (family: bigint, type: bigint): number[] =>
      [...Array(512).keys()].filter(
        (protocol) => actionsOf('socket', family, type, BigInt(protocol))[0] === 'SCMP_ACT_ALLOW',
      );
    for (const family of [2n, 10n]) {
      for (const type of [0x80801n, 2n]) expect(protocolsOf(family, type)).toEqual([0, 1, 6, 17, 58, 262]);
      expect(protocolsOf(family, 3n)).toHaveLength(512);
      for (const type of [4n, 5n, 6n, 10n, 15n]) expect(protocolsOf(family, type)).toEqual([]);
    }
    expect(protocolsOf(16n, 3n)).toEqual([0, 4, 9, 15]);
  });

  test('packet rings and line disciplines are refused, regardless of the bits above the low 32', () => {
    const both = (values: readonly bigint[]) => values.flatMap((value) => [value, HIGH | value]);
    for (const level of both([0n, 1n, 6n, 17n, 41n, 255n, 270n, 282n, 284n]))
      expect(actionsOf('setsockopt', 3n, level, 5n)).toEqual(ALLOWED);
    for (const option of [5n, 13n])
      for (const level of both([263n, 0x8000_0107n]))
        expect(actionsOf('setsockopt', 3n, level, option)).toEqual([]);
    for (const command of both([0x5422n, 0x5413n, 0x5401n, 0x541bn, 0x8923n, 0x8004_5430n, 0xc020_660bn]))
      expect(actionsOf('ioctl', 0n, command)).toEqual(ALLOWED);
    for (const command of both([0x5423n, 0x8000_5423n])) expect(actionsOf('ioctl', 0n, command)).toEqual([]);
    for (const option of [1n, 2n, 8n, 18n, 20n])
      expect(actionsOf('setsockopt', 3n, 263n, option)).toEqual(ALLOWED);
  });

  test('the core dump limit cannot be set, and every other limit can', () => {
    for (const high of [0n, HIGH])
      for (let resource = 0n; resource < 16n; resource += 1n) {
        const expected = resource === 4n ? ['SCMP_ACT_ERRNO 0'] : ALLOWED;
        expect(actionsOf('setrlimit', high | resource, 1n)).toEqual(expected);
        expect(actionsOf('prlimit64', 0n, high | resource, 1n, 0n)).toEqual(expected);
        expect(actionsOf('prlimit64', 0n, high | resource, 0n, 1n)).toEqual(ALLOWED);
        expect(actionsOf('prlimit64', 0n, high | resource, 1n, 1n)).toEqual(resource === 4n ? [] : ALLOWED);
      }
  });
});

describe('a guest’s list of processes', () => {
  test('is parsed without its invalid records, because the guest is not trusted', () => {
    const answer = '1\tsleep\troot\t50\t4\t100\tsleep 600\0not a process\0x\ty\tz\tNaN\t1\t2\tcmd\0';
    expect(parseGuestProcesses(answer, new Date(10_000), 5)).toEqual([
      {
        pid: 1,
        name: 'sleep',
        userName: 'root',
        commandLine: 'sleep 600',
        cpuSeconds: 0.5,
        workingSetBytes: 16_384,
        startedAt: new Date(6_000).toISOString(),
      },
    ]);
  });

  test.each([
    ['a negative pid', '-1\ta\tb\t1\t1\t1\tcmd'],
    ['a pid with a fraction', '1.5\ta\tb\t1\t1\t1\tcmd'],
    ['memory that JSON has no number for', '1\ta\tb\t1\t1e308\t1\tcmd'],
    ['a start that is no number of ticks', '1\ta\tb\t1\t1\t1e300\tcmd'],
  ])('omits a process with %s', (_, record) => {
    expect(parseGuestProcesses(`${record}\0`, new Date(10_000), 5)).toEqual([]);
  });

  test.each([-1e300, 1e300, Number.POSITIVE_INFINITY, -1e13])(
    'has no start times if the guest’s uptime is %d seconds',
    (uptime) => {
      const [process] = parseGuestProcesses('1\ta\tb\t1\t1\t1\tcmd\0', new Date(10_000), uptime);
      expect(process?.startedAt).toBeNull();
    },
  );

  test('like its other answers, is shown without control characters and in a limited length', () => {
    expect(guestLine(Buffer.from('6.1\t#1\u001b[2J\u0000\n'))).toBe('6.1\t#1[2J');
    expect(guestLine(Buffer.alloc(1024 * 1024, 'x'))).toHaveLength(256);
  });
});
