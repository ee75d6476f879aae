import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { cpSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, jest, test } from '@jest/globals';
import { NAMESPACE_IDS } from '../../../agent/runtimes/linux/container/user-namespaces.ts';
import { containerPaths, createLayout } from '../../../agent/runtimes/linux/layout.ts';
import { Leases } from '../../../agent/runtimes/linux/leases.ts';
import type { AssignedContainer } from '../../../core/contract/agent/commands.ts';
import { artifactsFolder } from '../../../scripts/setup/linux-runtime.ts';
import { container } from '../../helpers/assigned-container.ts';
import { convert } from '../../helpers/linux-conversion.ts';
import {
  bring,
  canHostLinux,
  inspectContainer,
  linuxHostFolder,
  openTestHost,
  until,
} from '../../helpers/linux-host.ts';
import { runIn } from '../../helpers/run-in-container.ts';
import { SharedLinuxHost } from '../../helpers/shared-linux-host.ts';

jest.setTimeout(180_000);
const possible = await canHostLinux();
const real = possible ? describe : describe.skip;
/** Lower ids belong to users, programs and other user namespaces. */
const FIRST_POSSIBLE_ID = 0x7000_0000;

/** A line of `/proc/<pid>/status` on this machine, as numbers. */
const numbersOf = (pid: number, name: 'Uid' | 'Gid'): number[] => {
  const line = new RegExp(`^${name}:(.*)$`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? '';
  return line.trim().split(/\s+/).map(Number);
};

real('the user namespace of a Default container', () => {
  const host = new SharedLinuxHost('user-namespace');
  const layout = createLayout(host.folder);
  const sleeper = (spec: Partial<AssignedContainer['spec']> = {}): AssignedContainer => {
    const one = container({ command: ['sleep', '600'] });
    return { ...one, spec: { ...one.spec, ...spec } };
  };
  const mainPid = async ({ id }: AssignedContainer): Promise<number> =>
    (await host.runtime.listProcesses(id)).find(({ pid }) => pid === 1)?.hostPid ?? 0;
  const rootId = async (one: AssignedContainer): Promise<number> =>
    numbersOf(await mainPid(one), 'Uid')[0] ?? 0;
  const instance = async ({ id }: AssignedContainer): Promise<string | null> =>
    (await inspectContainer(host.runtime, id))?.process?.instanceId ?? null;
  const ranges = async () => (await new Leases(layout.leases, layout.tag).held('ids')).map(({ id }) => id);
  /** Type, mode and owner of a file on the disk of a stopped container. */
  const onDisk = ({ id }: AssignedContainer, path: string): string => {
    const { scratch } = containerPaths(layout, id);
    const said = execFileSync('debugfs', ['-R', `stat upper${path}`, scratch], {
      encoding: 'utf8',
      stdio: 'pipe',
    });
    const [, user, group] = /User:\s+(\d+)\s+Group:\s+(\d+)/.exec(said) ?? [];
    return `${user}:${group}`;
  };

  test('root in the container is a dedicated user of this machine without privileges', async () => {
    const one = sleeper();
    await host.up(one);
    expect(await host.sh(one, 'id -u; id -g')).toBe('0\n0');
    const pid = await mainPid(one);
    const first = await rootId(one);
    expect(first).toBeGreaterThanOrEqual(FIRST_POSSIBLE_ID);
    expect(numbersOf(pid, 'Uid')).toEqual([first, first, first, first]);
    expect(numbersOf(pid, 'Gid')).toEqual([first, first, first, first]);
    expect((await host.runtime.isolation(one.id)).userNamespace).toEqual({
      firstHostId: first,
      count: NAMESPACE_IDS,
    });
  });

  test('that user cannot open this machine’s files, and no other user can reach the container’s files', async () => {
    const one = sleeper();
    await host.up(one);
    const first = await rootId(one);
    const { root, rw, scratch } = containerPaths(layout, one.id);
    const readAs = (id: number, path: string) => () =>
      execFileSync('setpriv', [`--reuid=${id}`, `--regid=${id}`, '--clear-groups', 'cat', path], {
        stdio: 'pipe',
      }).toString();
    for (const path of ['/etc/shadow', scratch]) expect(readAs(first, path)).toThrow(/Permission denied/);
    expect(readAs(first, join(root, 'etc/passwd'))()).toContain('daemon');
    for (const other of [first + NAMESPACE_IDS, 65_534])
      for (const path of [join(root, 'etc/passwd'), rw])
        expect(readAs(other, path)).toThrow(/Permission denied/);
  });

  test('two containers have no id in common', async () => {
    const [one, other] = [sleeper(), sleeper({ switchName: 'none' })];
    await host.up(one);
    await host.up(other);
    const [first, second] = [await rootId(one), await rootId(other)];
    expect(Math.abs(first - second)).toBeGreaterThanOrEqual(NAMESPACE_IDS);
    for (const id of [first, second]) expect(id % NAMESPACE_IDS).toBe(0);
  });

  test('files keep the container’s ids on disk through both conversions', async () => {
    const one = sleeper();
    await host.up(one);
    await host.sh(
      one,
      'echo a > /root/own; echo b > /srv-file; chown 33:44 /srv-file; chmod 4755 /srv-file; rm /etc/hosts; mkdir -p /d/e; rm -r /var/log; mkdir /var/log',
    );
    const seen =
      'stat -c "%n %u:%g %a" /root/own /srv-file /d/e /bin/busybox; cat /root/own /srv-file; ls /var/log /etc/hosts 2>&1';
    const before = await host.sh(one, `${seen} || true`);
    expect(before).toContain(
      '/root/own 0:0 644\n/srv-file 33:44 4755\n/d/e 0:0 755\n/bin/busybox 0:0 755\na\nb',
    );
    await convert(host.runtime, one, 'HyperV', await instance(one));
    const inVm = { ...one, runtimeType: 'HyperV' as const };
    expect(await host.sh(inVm, `${seen} || true`)).toBe(before);
    await host.sh(inVm, 'echo c > /root/from-vm');
    await convert(host.runtime, inVm, 'Default', await instance(inVm));
    expect(await host.sh(one, `${seen} || true`)).toBe(before);
    expect(await host.sh(one, 'cat /root/from-vm; echo d >> /root/from-vm; stat -c %u /root/from-vm')).toBe(
      'c\n0',
    );
    await host.off(one);
    expect([onDisk(one, '/root/own'), onDisk(one, '/srv-file'), onDisk(one, '/root/from-vm')]).toEqual([
      '0:0',
      '33:44',
      '0:0',
    ]);
  });

  test('root can use ping, low ports and addresses in the container’s network', async () => {
    const one = sleeper();
    await host.up(one);
    expect(await host.sh(one, 'ping -c 1 -W 5 127.0.0.1')).toContain('1 packets received');
    const server = await host.runtime.startExec(one.id, {
      command: ['sh', '-c', 'echo hello | nc -l -p 80'],
    });
    await until(async () => (await host.sh(one, 'netstat -ltn')).includes(':80 '));
    expect(await host.sh(one, 'nc 127.0.0.1 80 < /dev/null')).toBe('hello');
    expect(await server.exited).toBe(0);
  });

  test('/sys is mounted, and /proc/sys can’t be written to', async () => {
    const one = sleeper();
    await host.up(one);
    expect(await host.sh(one, 'ls /sys/class/net')).toBe('eth0\nlo');
    for (const file of ['/proc/sys/kernel/panic', '/proc/sys/net/ipv4/ip_forward', '/proc/sysrq-trigger'])
      await expect(host.sh(one, `echo 1 > ${file}`)).rejects.toThrow(/can't create/);
  });

  test('code in the container cannot change this machine’s files through devices, mounts or new nodes', async () => {
    const one = sleeper();
    await host.up(one);
    await expect(host.sh(one, 'chmod 600 /dev/null')).rejects.toThrow(/not permitted/);
    await expect(host.sh(one, 'mknod /disk b 7 0')).rejects.toThrow(/not permitted/);
    await expect(host.sh(one, 'mount -t tmpfs none /tmp')).rejects.toThrow(/permitted|denied/);
  });

  test('the main process and other processes run as users of the image, with their permissions', async () => {
    const one = sleeper({ user: 'daemon' });
    await host.up(one);
    const first = await rootId(one);
    expect(first % NAMESPACE_IDS).toBe(1);
    expect((await host.runtime.listProcesses(one.id)).find(({ pid }) => pid === 1)?.userName).toBe('daemon');
    const run = (user: string, script: string) =>
      runIn(host.runtime, one.id, { command: ['sh', '-c', script], user });
    // A process can reopen its output by name.
    expect(await run('nobody', 'id -u; echo again > /dev/stdout')).toMatchObject({
      exitCode: 0,
      stdout: '65534\nagain\n',
    });
    expect((await run('daemon', 'touch /root/no')).exitCode).not.toBe(0);
    expect(await run('65535:7', 'id -u; id -g')).toMatchObject({ stdout: '65535\n7\n' });
    await expect(run('65536', 'true')).rejects.toThrow(/User 65536 has the id 65536; .* 0 to 65535/);
  });

  test('a main process whose user is not in the namespace is refused with a reason', async () => {
    const one = sleeper({ user: '100000' });
    await expect(host.up(one)).rejects.toThrow(/User 100000 has the id 100000/);
  });

  test('the main process can reopen its output by name', async () => {
    const one = sleeper({ command: ['sh', '-c', 'echo named > /dev/stdout; exec sleep 600'] });
    await host.up(one);
    await until(async () => (await host.runtime.readLog(one.id, {})).items.length === 1);
    expect((await host.runtime.readLog(one.id, {})).items[0]).toMatchObject({ text: 'named' });
  });

  test('a terminal belongs to the user of its process, in the main process and in others', async () => {
    const owner =
      'stat -c %U "$(tty)"; test -w "$(tty)" && echo writable; test -c /dev/console && echo console';
    const one = sleeper({ tty: true, user: 'daemon', command: ['sh', '-c', `${owner}; exec sleep 600`] });
    await host.up(one);
    const lines = async () => (await host.runtime.readLog(one.id, {})).items.map(({ text }) => text.trim());
    await until(async () => (await lines()).length === 3);
    expect(await lines()).toEqual(['daemon', 'writable', 'console']);
    const beside = await runIn(host.runtime, one.id, {
      command: ['sh', '-c', owner],
      user: 'nobody',
      tty: true,
      columns: 80,
      rows: 24,
    });
    expect(beside.stdout).toContain(['nobody', 'writable', ''].join('\r\n'));
  });

  test('a signal and a kill reach a process of the container', async () => {
    const one = sleeper({
      command: ['sh', '-c', 'trap "echo bye; exit 3" TERM; echo up; while :; do sleep 0.1; done'],
    });
    await host.up(one);
    await until(async () => (await host.runtime.readLog(one.id, {})).items.length === 1);
    await host.runtime.stopProcess(one.id, 60, new AbortController().signal);
    expect((await inspectContainer(host.runtime, one.id))?.process).toMatchObject({
      running: false,
      exitCode: 3,
    });
    const other = sleeper();
    await host.up(other);
    await host.runtime.stopProcess(other.id, 0, new AbortController().signal);
    expect((await inspectContainer(host.runtime, other.id))?.process).toMatchObject({
      running: false,
      exitCode: 137,
    });
  });

  test('the id range is leased while it is in use, survives the agent, and is released afterwards', async () => {
    const one = sleeper();
    await host.up(one);
    const first = await rootId(one);
    expect(await ranges()).toEqual([one.id]);
    host.runtime.close();
    const path = `${layout.run}/agent.json`;
    await until(() => !existsSync(path));
    const next = await openTestHost(host.folder);
    try {
      expect(await ranges()).toEqual([one.id]);
      const outcome = await runIn(next, one.id, { command: ['id', '-u'] });
      expect(outcome.stdout).toBe('0\n');
      expect(numbersOf((await next.listProcesses(one.id))[0]?.hostPid ?? 0, 'Uid')[0]).toBe(first);
      await bring(next, one.id, one, 'Off');
      expect(await ranges()).toEqual([]);
      expect(existsSync(containerPaths(layout, one.id).userNamespace)).toBe(false);
      await bring(next, one.id, null, 'Absent');
    } finally {
      next.close();
      await until(() => !existsSync(path));
      await host.reopen();
    }
  });
});
/** The artifacts, with a helper that fails like on a machine with another kernel. */
const withoutIdmapsOf = (formats: readonly string[]): string => {
  const real = artifactsFolder(new URL('../../..', import.meta.url).pathname);
  const folder = linuxHostFolder(`idmaps-without-${formats.join('-')}`);
  rmSync(folder, { recursive: true, force: true });
  // Worker processes read the other files, each as a different user.
  process.umask(0o022);
  cpSync(real, folder, { recursive: true, filter: (path) => !path.endsWith('/helper') });
  const refusals = formats.map((format) => `*" image-type=${format} "*) echo "idmap: refused" >&2; exit 1;;`);
  const script = `#!/bin/sh\ncase "$* " in ${refusals.join(' ')} esac\nexec ${join(real, 'helper')} "$@"\n`;
  writeFileSync(join(folder, 'helper'), script, { mode: 0o755 });
  return folder;
};

real('a host whose kernel can idmap erofs but not squashfs', () => {
  const host = new SharedLinuxHost('user-namespace-erofs', {
    artifactsFolder: possible ? withoutIdmapsOf(['squashfs']) : '',
  });
  test('runs Default containers from a copy of the image and converts them', async () => {
    const one = container({ command: ['sleep', '600'], switchName: 'none' });
    await host.up(one);
    const report = await host.runtime.isolation(one.id);
    expect(report.userNamespace?.count).toBe(NAMESPACE_IDS);
    const said = await host.sh(
      one,
      'echo a >> /etc/passwd; stat -c %u:%a /etc/passwd /bin/busybox; id -u; rm /bin/wget',
    );
    expect(said).toBe('0:644\n0:755\n0');
    const { process } = (await inspectContainer(host.runtime, one.id)) ?? {};
    await convert(host.runtime, one, 'HyperV', process?.instanceId ?? null);
    const inVm = { ...one, runtimeType: 'HyperV' as const };
    expect(await host.sh(inVm, 'tail -n 1 /etc/passwd; test -e /bin/wget || echo gone')).toBe('a\ngone');
  });
});

real('a host whose kernel can idmap no image', () => {
  const host = new SharedLinuxHost('user-namespace-none', {
    artifactsFolder: possible ? withoutIdmapsOf(['squashfs', 'erofs']) : '',
  });
  test('does not offer Default containers and refuses one with a reason', async () => {
    expect((await host.runtime.facts()).capabilities.runtimeTypes).toEqual(['HyperV']);
    const one = container({ command: ['sleep', '600'], switchName: 'none' });
    await expect(host.up(one)).rejects.toThrow(/can’t run a Default container in its own user namespace/);
    const other = { ...one, id: randomUUID(), runtimeType: 'HyperV' as const };
    await host.up(other);
    expect(await host.sh(other, 'id -u')).toBe('0');
  });
});
if (!possible) test.todo('cannot run on this machine');
