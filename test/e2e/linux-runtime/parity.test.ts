import { describe, expect, jest, test } from '@jest/globals';
import { MASKED_PATHS, READ_ONLY_PATHS } from '../../../agent/runtimes/linux/container/oci-config.ts';
import type { RuntimeType } from '../../../core/contract/primitives.ts';
import { container } from '../../helpers/assigned-container.ts';
import { canHostLinux, inspectContainer, until } from '../../helpers/linux-host.ts';
import { runIn } from '../../helpers/run-in-container.ts';
import { SharedLinuxHost } from '../../helpers/shared-linux-host.ts';

jest.setTimeout(180_000);
const possible = await canHostLinux();
const real = possible ? describe : describe.skip;

/**
 * Each line is the same in both runtime types. Differences are removed: runc creates a link /dev/core if the kernel has a
 * (masked) kcore. In a user namespace no device node can be created, so the nodes of a Default container are bind mounts of the
 * host's.
 */
const LOOK = `
  hostname | tr a-f0-9 x

  ls -1 /dev | grep -v '^core$' | sort
  for name in null zero full random urandom tty; do stat -c '%n %t:%T %a' /dev/$name; done
  for name in fd stdin stdout stderr ptmx; do readlink /dev/$name; done
  ulimit -n; ulimit -Hn; ulimit -c; ulimit -Hc; ulimit -l; umask
  grep -E '^(Cap|NoNewPrivs|Seccomp:|Groups)' /proc/self/status
  awk '$2 ~ "^/dev|^/sys$|^/proc$" && $3 != "devtmpfs" {print $2, $3}' /proc/mounts | sort -u
  awk '$2 ~ "^/sys$" {print $4}' /proc/mounts | tr , '\\n' | grep -E '^(ro|nosuid|nodev|noexec)$' | sort
  df -k /dev/shm | awk 'END {print $2}'
  cd /sys/fs/cgroup; cat memory.max memory/memory.limit_in_bytes; cat pids.max pids/pids.max
  awk '$3 ~ "^cgroup" {print substr($4, 1, 2)}' /proc/mounts | sort -u
  for file in memory.max memory/memory.limit_in_bytes; do echo 1 > $file || echo read-only; done | sort -u
`;
const MASKS = MASKED_PATHS.map(
  (path) => `if [ -d ${path} ]; then ls -A ${path}; elif [ -e ${path} ]; then cat ${path}; fi`,
).join('\n');
const WRITES = [
  ...READ_ONLY_PATHS.map((path) => `awk '$2 == "${path}" {print $2, substr($4, 1, 2)}' /proc/mounts`),
  'echo b > /proc/sysrq-trigger',
  'echo x > /proc/sys/kernel/core_pattern',
  'echo 1 > /sys/kernel/profiling',
].join('\n');

real('the environment of a process', () => {
  const host = new SharedLinuxHost('parity');
  const ask = async (runtimeType: RuntimeType, script: string): Promise<string[]> => {
    const one = container({ runtimeType, command: ['sleep', '600'], switchName: 'none' });
    await host.up(one);
    const said = await host.sh(one, `(${script}) 2>/dev/null; true`);
    return said.split('\n').filter((line) => line !== '');
  };

  test('is the same in both runtime types', async () => {
    const inDefault = await ask('Default', LOOK);
    expect(inDefault.length).toBeGreaterThan(40);
    expect(await ask('HyperV', LOOK)).toEqual(inDefault);
  });

  // Names with dots: https://github.com/docker/compose/issues/1163. Limits of counts: https://github.com/moby/moby/issues/2259.
  test.each<RuntimeType>(['Default', 'HyperV'])(
    '%s: thousands of variables and arguments, with any names',
    async (runtimeType) => {
      const env = Object.fromEntries(
        Array.from({ length: 4_000 }, (_, index) => [`a.b-c ${index}`, 'x'.repeat(10)]),
      );
      const one = container({ runtimeType, command: ['sleep', '600'], switchName: 'none' });
      const wanted = { ...one, spec: { ...one.spec, env } };
      await host.up(wanted);
      const words = Array.from({ length: 4_000 }, (_, index) => `word-${index}`);
      const request = { command: ['echo', ...words], env };
      expect((await runIn(host.runtime, one.id, request)).stdout.trim().split(' ')).toEqual(words);
      const seen = await runIn(host.runtime, one.id, { command: ['env'], env });
      expect(seen.stdout.split('\n').filter((line) => line.startsWith('a.b-c '))).toHaveLength(4_000);
      const main = await host.sh(one, "tr '\\0' '\\n' < /proc/1/environ | grep -c '^a.b-c '");
      expect(main).toBe('4000');
    },
  );

  // In utility VMs `tty` failed, as in https://github.com/moby/moby/issues/8755.
  test.each<RuntimeType>(['Default', 'HyperV'])(
    '%s: a terminal has a name and a size, and its user can open it',
    async (runtimeType) => {
      const one = container({ runtimeType, command: ['sleep', '600'], switchName: 'none' });
      await host.up(one);
      const request = { command: ['sh', '-c', 'tty; stty size; echo again > $(tty)'], tty: true };
      const size = { columns: 99, rows: 33 };
      for (const user of ['0', '1000'])
        expect((await runIn(host.runtime, one.id, { ...request, ...size, user })).stdout).toMatch(
          /^\/dev\/pts\/\d+\r\n33 99\r\nagain\r\n$/,
        );
    },
  );

  test.each<RuntimeType>(['Default', 'HyperV'])(
    '%s: without stdin, the main process reads the end of its input',
    async (runtimeType) => {
      const one = container({ runtimeType, command: ['sh', '-c', 'cat; exit 5'], switchName: 'none' });
      await host.up({ ...one, spec: { ...one.spec, stdin: false } });
      await until(async () => (await inspectContainer(host.runtime, one.id))?.process?.running === false);
      expect(await inspectContainer(host.runtime, one.id)).toMatchObject({ process: { exitCode: 5 } });
    },
  );

  test.each<RuntimeType>(['Default', 'HyperV'])('%s: masked paths are empty', async (runtimeType) => {
    expect(await ask(runtimeType, MASKS)).toEqual([]);
  });

  test.each<RuntimeType>(['Default', 'HyperV'])('%s: kernel files are read-only', async (runtimeType) => {
    const found = await ask(runtimeType, WRITES);
    expect(found).toEqual(expect.arrayContaining(['/proc/sys ro', '/proc/irq ro', '/proc/fs ro']));
    expect(found.every((line) => line.endsWith(' ro'))).toBe(true);
  });
});
if (!possible) test.todo('cannot run on this machine');
