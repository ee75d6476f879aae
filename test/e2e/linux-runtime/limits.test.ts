import { existsSync, readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, jest, test } from '@jest/globals';
import { countsSwap, WORKER_THREADS } from '../../../agent/runtimes/linux/cgroups.ts';
import { CAPABILITIES } from '../../../agent/runtimes/linux/container/capabilities.ts';
import { PIDS_LIMIT } from '../../../agent/runtimes/linux/container/oci-config.ts';
import { readStat } from '../../../agent/runtimes/linux/proc.ts';
import type { AssignedContainer } from '../../../core/contract/agent/commands.ts';
import type { RuntimeType } from '../../../core/contract/primitives.ts';
import { container } from '../../helpers/assigned-container.ts';
import { canHostLinux, inspectContainer, until } from '../../helpers/linux-host.ts';
import { runIn } from '../../helpers/run-in-container.ts';
import { SharedLinuxHost } from '../../helpers/shared-linux-host.ts';

jest.setTimeout(300_000);
const possible = await canHostLinux();
const real = possible ? describe : describe.skip;
const TYPES: readonly RuntimeType[] = ['Default', 'HyperV'];
/** Unit of the times in /proc/<pid>/stat. */
const TICK_US = 10_000;
const IDLE = ['sleep', '600'];
const BLOCK_BYTES = 512;
const MIB = 1024 * 1024;

/** Bits of the kernel's capability sets: linux/capability.h. */
const CAPABILITY_BITS: Readonly<Record<string, number>> = {
  CAP_CHOWN: 0,
  CAP_DAC_OVERRIDE: 1,
  CAP_FOWNER: 3,
  CAP_FSETID: 4,
  CAP_KILL: 5,
  CAP_SETGID: 6,
  CAP_SETUID: 7,
  CAP_SETPCAP: 8,
  CAP_NET_BIND_SERVICE: 10,
  CAP_NET_RAW: 13,
  CAP_SYS_CHROOT: 18,
  CAP_AUDIT_WRITE: 29,
  CAP_SETFCAP: 31,
};
const mask = CAPABILITIES.reduce((sum, name) => sum + 2 ** (CAPABILITY_BITS[name] ?? 63), 0);
const MASK = mask.toString(16).padStart(16, '0');

const make = (runtimeType: RuntimeType, memoryMB: number, cpus = 1, command = IDLE): AssignedContainer => {
  const one = container({ runtimeType, command, switchName: 'none' });
  return { ...one, spec: { ...one.spec, resources: { memoryMB, cpus, diskMB: 256 } } };
};

/** The kernel's description of a process: `/proc/<pid>/status`. */
const statusOf = (text: string) => (name: string) =>
  new RegExp(`^${name}:\\s*(.*)$`, 'm').exec(text)?.[1]?.split('\t')[0];

/** The path of a file in a process's cgroup: under the given controller in cgroup v1, or in cgroup v2. */
const cgroupFile = (pid: number, controller: string, names: readonly string[]): string => {
  const lines = readFileSync(`/proc/${pid}/cgroup`, 'utf8').trim().split('\n');
  const paths = lines.flatMap((line) => {
    const [, controllers = '', path = ''] = line.split(':');
    if (controllers === '') return [join('/sys/fs/cgroup', path)];
    return controllers.split(',').includes(controller) ? [join('/sys/fs/cgroup', controller, path)] : [];
  });
  const files = paths.flatMap((path) => names.map((name) => join(path, name)));
  const found = files.find((file) => existsSync(file));
  if (found === undefined) throw new TypeError(`none of ${files.join(', ')}`);
  return readFileSync(found, 'utf8');
};

real('limits of a container', () => {
  const host = new SharedLinuxHost('limits');
  /** The process on this machine whose cgroup is the container's. */
  const hostPid = async (one: AssignedContainer): Promise<number> =>
    one.runtimeType === 'HyperV'
      ? ((await inspectContainer(host.runtime, one.id))?.workerProcess?.pid ?? 0)
      : ((await host.runtime.listProcesses(one.id))[0]?.hostPid ?? 0);

  test.each(TYPES)(
    '%s: a container that exceeds its memory limit is killed with that reason',
    async (type) => {
      const one = make(type, 96, 1, [
        'sh',
        '-c',
        'while [ ! -e /go ]; do sleep 0.1; done; exec /probe eat 300',
      ]);
      const neighbour = make(type, 96);
      await host.up(neighbour);
      await host.up(one);
      await host.putProbe(one);
      // Half of the limit is allowed.
      expect(await host.sh(one, '/probe eat 48')).toBe('ate 48');
      await host.sh(one, 'touch /go');
      await until(async () => (await inspectContainer(host.runtime, one.id))?.process?.endedAt !== null);
      expect((await inspectContainer(host.runtime, one.id))?.process).toMatchObject({
        running: false,
        exitCode: 137,
        exitReason: 'Killed: the container reached its memory limit',
      });
      expect(await host.sh(neighbour, 'echo unharmed')).toBe('unharmed');
    },
  );

  test.each(TYPES)('%s: the memory limit applies to memory plus swap', async (type) => {
    const one = make(type, 96);
    await host.up(one);
    const pid = await hostPid(one);
    const names = (wanted: string[]) => Number(cgroupFile(pid, 'memory', wanted));
    if (!countsSwap()) throw new TypeError('this kernel does not account for swap');
    const unified = existsSync('/sys/fs/cgroup/cgroup.controllers');
    if (unified) expect(names(['memory.swap.max'])).toBe(0);
    else expect(names(['memory.memsw.limit_in_bytes'])).toBe(names(['memory.limit_in_bytes']));
  });

  test.each(TYPES)('%s: files in /dev/shm count as memory of the container and are limited', async (type) => {
    const one = make(type, 96);
    await host.up(one);
    await host.putProbe(one);
    const full = await runIn(host.runtime, one.id, {
      command: ['dd', 'if=/dev/zero', 'of=/dev/shm/big', 'bs=1M', 'count=80'],
    });
    expect(full).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('No space left on device') });
    const eaten = await runIn(host.runtime, one.id, { command: ['/probe', 'eat', '60'] });
    expect(eaten).toMatchObject({ exitCode: 137, stdout: '' });
    expect(await host.sh(one, 'rm /dev/shm/big; /probe eat 60')).toBe('ate 60');
  });

  test.each(TYPES)('%s: a kill for another reason is not reported as out of memory', async (type) => {
    const one = make(type, 96, 1, [
      'sh',
      '-c',
      'while [ ! -e /go ]; do sleep 0.1; done; kill -9 $$; sleep 9',
    ]);
    await host.up(one);
    await host.sh(one, 'touch /go; :');
    if (type === 'Default') process.kill(await hostPid(one), 'SIGKILL');
    else await host.runtime.stopProcess(one.id, 0, new AbortController().signal);
    await until(async () => (await inspectContainer(host.runtime, one.id))?.process?.endedAt !== null);
    expect((await inspectContainer(host.runtime, one.id))?.process).toMatchObject({
      exitCode: 137,
      exitReason: 'Ended by signal 9',
    });
  });

  test.each(TYPES)('%s: a busy program gets the processor time of its limit', async (type) => {
    const cpus = 0.2;
    const one = make(type, 128, cpus, ['sh', '-c', 'while :; do :; done']);
    await host.up(one);
    const pid = await hostPid(one);
    const read = () => {
      const stat = cgroupFile(pid, 'cpu', ['cpu.stat']);
      const value = (name: string) => Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(stat)?.[1] ?? 0);
      const [user = 0, system = 0] = (readStat(pid)?.fields ?? []).slice(11, 13).map(Number);
      return {
        usage: (user + system) * TICK_US,
        periods: value('nr_periods'),
        throttled: value('nr_throttled'),
      };
    };
    const first = read();
    await until(() => read().throttled >= first.throttled + 20);
    const last = read();
    const granted = (last.periods - first.periods) * 100_000 * cpus;
    expect((last.usage - first.usage) / granted).toBeLessThan(1.3);
  });

  test.each(TYPES)('%s: the number of processes is limited', async (type) => {
    const one = make(type, 512);
    await host.up(one);
    await host.putProbe(one);
    const [made, ...why] = (await host.sh(one, `/probe fork ${PIDS_LIMIT + 500}`)).split(' ');
    expect(why.join(' ')).toBe('Resource temporarily unavailable');
    expect(Number(made)).toBeLessThanOrEqual(PIDS_LIMIT);
    expect(Number(made)).toBeGreaterThan(PIDS_LIMIT - 50);
  });

  test.each(TYPES)('%s: root has only the listed capabilities', async (type) => {
    const one = make(type, 128);
    await host.up(one);
    for (const who of ['1', 'self']) {
      const status = statusOf(await host.sh(one, `cat /proc/${who}/status`));
      for (const set of ['CapBnd', 'CapPrm', 'CapEff']) expect([set, status(set)]).toEqual([set, MASK]);
      expect(status('CapAmb')).toMatch(/^0+$/);
      expect(status('NoNewPrivs')).toBe('1');
      expect(status('Seccomp')).toBe('2');
    }
    for (const refused of ['mount -t tmpfs none /mnt', 'unshare -m true', 'hostname other'])
      await expect(host.sh(one, `mkdir -p /mnt; ${refused}`)).rejects.toThrow(/not permitted|denied/);
    await expect(host.sh(one, 'echo 1 > /proc/sys/kernel/panic')).rejects.toThrow(/Read-only|denied/);
  });

  test.each(TYPES)('%s: a user other than root has no capabilities', async (type) => {
    const one = make(type, 128);
    await host.up(one);
    const { stdout } = await runIn(host.runtime, one.id, {
      command: ['cat', '/proc/self/status'],
      user: 'nobody',
    });
    expect(statusOf(stdout)('CapEff')).toMatch(/^0+$/);
    expect(statusOf(stdout)('Uid')).toBe('65534');
  });

  /** Finds the template's memory in the mappings of a clone's worker process. */
  const templateOf = (pid: number): string | undefined =>
    readdirSync(`/proc/${pid}/map_files`)
      .map((range) => `/proc/${pid}/map_files/${range}`)
      .find((file) => readlinkSync(file).includes('bulkhead-template'));

  test('a clone can use all its memory without growing the template', async () => {
    const one = make('HyperV', 320);
    let template: string | undefined;
    while (template === undefined) {
      // The first VMs boot, until there is a template of their size.
      await host.off(one);
      await host.up(one);
      template = templateOf(await hostPid(one));
    }
    await host.putProbe(one);
    const before = statSync(template).blocks * BLOCK_BYTES;
    expect(await host.sh(one, '/probe eat 240')).toBe('ate 240');
    const grown = statSync(template).blocks * BLOCK_BYTES - before;
    expect(grown / MIB).toBeLessThan(16);
    expect((await inspectContainer(host.runtime, one.id))?.process?.running).toBe(true);
  });

  test('the worker process of a VM has its own user, no privileges, a system call filter and limits', async () => {
    const [one, other] = [make('HyperV', 128), make('HyperV', 128)];
    await host.up(one);
    await host.up(other);
    const statuses = await Promise.all(
      [one, other].map(async (each) => readFileSync(`/proc/${await hostPid(each)}/status`, 'utf8')),
    );
    const uids = statuses.map((text) => Number(statusOf(text)('Uid')));
    expect(new Set(uids).size).toBe(2);
    for (const uid of uids) expect(uid).toBeGreaterThanOrEqual(2_100_000_000);
    for (const text of statuses) {
      for (const set of ['CapBnd', 'CapPrm', 'CapEff', 'CapInh']) expect(statusOf(text)(set)).toMatch(/^0+$/);
      expect(statusOf(text)('NoNewPrivs')).toBe('1');
      expect(statusOf(text)('Seccomp')).toBe('2');
    }
    const memory = cgroupFile(await hostPid(one), 'memory', ['memory.limit_in_bytes', 'memory.max']);
    expect(Number(memory)).toBe((256 + 128) * 1024 * 1024);
    expect(Number(cgroupFile(await hostPid(one), 'pids', ['pids.max']))).toBe(WORKER_THREADS);
  });
});
if (!possible) test.todo('cannot run on this machine');
