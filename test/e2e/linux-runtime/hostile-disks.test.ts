import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { containerPaths, createLayout } from '../../../agent/runtimes/linux/layout.ts';
import type { AssignedContainer } from '../../../core/contract/agent/commands.ts';
import { container } from '../../helpers/assigned-container.ts';
import { CRAFTED_FOLDERS, CRAFTED_ROOTS, CRAFTED_SUPERBLOCKS, debugfs } from '../../helpers/craft-disk.ts';
import { around, convert, restore } from '../../helpers/linux-conversion.ts';
import { bring, canHostLinux, inspectContainer } from '../../helpers/linux-host.ts';
import { runIn } from '../../helpers/run-in-container.ts';
import { SharedLinuxHost } from '../../helpers/shared-linux-host.ts';

jest.setTimeout(180_000);
const possible = await canHostLinux();
const real = possible ? describe : describe.skip;
const SECRET = 'secret of the host';
const IDLE = ['sleep', '600'];

real('a disk that hostile code wrote', () => {
  const host = new SharedLinuxHost('hostile');
  /** A folder of the host on the same file system, which an overlay could use. */
  let victim: string;
  let neighbour: AssignedContainer;
  beforeAll(async () => {
    victim = mkdtempSync(join(host.folder, 'victim-'));
    for (const folder of ['upper', 'work']) mkdirSync(join(victim, folder));
    writeFileSync(join(victim, 'upper', 'secret'), SECRET);
  });
  afterAll(() => rmSync(victim, { recursive: true, force: true }));

  const pathsOf = ({ id }: AssignedContainer) => containerPaths(createLayout(host.folder), id);
  const expectVictimUntouched = () => {
    expect([
      readdirSync(victim),
      readdirSync(join(victim, 'upper')),
      readdirSync(join(victim, 'work')),
    ]).toEqual([['upper', 'work'], ['secret'], []]);
    expect(readFileSync(join(victim, 'upper', 'secret'), 'utf8')).toBe(SECRET);
  };
  const mountsOf = (one: AssignedContainer) =>
    readFileSync('/proc/self/mounts', 'utf8')
      .split('\n')
      .filter((line) => line.includes(pathsOf(one).rw) || line.includes(pathsOf(one).root));
  /** A stopped container whose code ran in a VM, with the disk that the VM left. */
  const stopped = async (script = 'true'): Promise<AssignedContainer> => {
    const one = container({ runtimeType: 'HyperV', command: IDLE, switchName: 'NAT' });
    await host.up(one);
    await host.sh(one, script);
    await host.off(one);
    return one;
  };
  const expectHostAlive = async () => {
    neighbour = container({ runtimeType: 'Default', command: IDLE, switchName: 'none' });
    await host.up(neighbour);
    expect(await host.sh(neighbour, 'echo alive')).toBe('alive');
  };

  const ALL = [...CRAFTED_FOLDERS, ...CRAFTED_SUPERBLOCKS, ...CRAFTED_ROOTS];
  test.each(ALL)('$what', async ({ craft, problem }) => {
    const one = await stopped();
    craft(pathsOf(one).scratch, victim);
    const asDefault: AssignedContainer = { ...one, runtimeType: 'Default' };
    const outcome = await host.up(asDefault).then(
      () => null,
      (error: Error) => error.message,
    );
    if (problem === null) {
      expect(outcome).toBeNull();
      expect(
        await host.sh(asDefault, `cat /secret /shown ${victim}/upper/secret 2>/dev/null; echo > /x`),
      ).not.toContain(SECRET);
    } else {
      expect(outcome).toMatch(problem);
      expect(outcome).toContain(one.id);
      expect(mountsOf(one)).toEqual([]);
      expect(await inspectContainer(host.runtime, one.id)).toMatchObject({
        layersMounted: false,
        process: { running: false },
      });
    }
    expectVictimUntouched();
    await expectHostAlive();
  });

  test('a very deep tree and many links are not followed', async () => {
    const one = await stopped(
      'cd /tmp; i=0; while [ $i -lt 1500 ]; do mkdir d; cd d; i=$((i+1)); done; ln -s / /tmp/up; ln -s /tmp/loop /tmp/loop',
    );
    const asDefault: AssignedContainer = { ...one, runtimeType: 'Default' };
    await host.up(asDefault);
    expect(await host.sh(asDefault, 'cat /tmp/loop 2>&1 || ls /tmp')).toMatch(/d\nloop\nup$/);
    await bring(host.runtime, one.id, null, 'Absent');
    expect(await inspectContainer(host.runtime, one.id)).toBeNull();
    await expectHostAlive();
  });

  test('user names are looked up only in the container', async () => {
    const one = await stopped('rm -f /etc/passwd /etc/group');
    writeFileSync(join(victim, 'passwd'), 'intruder:x:0:0::/:/bin/sh\n');
    try {
      debugfs(pathsOf(one).scratch, 'cd /upper/etc', 'rm passwd', `symlink passwd ${victim}/passwd`);
      const asDefault: AssignedContainer = { ...one, runtimeType: 'Default' };
      await host.up(asDefault);
      await expect(runIn(host.runtime, one.id, { command: ['id'], user: 'intruder' })).rejects.toThrow(
        'intruder',
      );
      expect((await host.runtime.listProcesses(one.id)).map(({ userName }) => userName)).not.toContain(
        'intruder',
      );
    } finally {
      rmSync(join(victim, 'passwd'));
    }
  });

  const links = CRAFTED_FOLDERS[0];
  const device = CRAFTED_ROOTS[0];
  test.each([links, device])(
    'a conversion to Default fails on it, and the container stays HyperV: $what',
    async (crafted) => {
      const one = container({ runtimeType: 'HyperV', command: IDLE, switchName: 'none' });
      await host.up(one);
      // Acts like root in the VM with the raw disk, after the VM has released it and before this machine mounts it.
      const crafting = around(host.runtime, 'destroyUtilityVm', {
        after: () => crafted?.craft(pathsOf(one).scratch, victim),
      });
      const instance = (await inspectContainer(host.runtime, one.id))?.process?.instanceId ?? null;
      await expect(convert(crafting, one, 'Default', instance)).rejects.toThrow(one.id);
      expectVictimUntouched();
      expect(mountsOf(one)).toEqual([]);
      expect((await inspectContainer(host.runtime, one.id))?.runtimeType).toBe('HyperV');
      await expectHostAlive();
    },
  );

  test('a conversion to HyperV that fails after the container has run in its VM never mounts its disk on this machine', async () => {
    const one = container({ runtimeType: 'Default', command: IDLE, switchName: 'none' });
    await host.up(one);
    const instance = (await inspectContainer(host.runtime, one.id))?.process?.instanceId ?? null;
    const crafting = around(host.runtime, 'startProcess', {
      after: async () => {
        await host.runtime.stopProcess(one.id, 0, new AbortController().signal);
      },
    });
    await expect(convert(crafting, one, 'HyperV', instance)).rejects.toThrow('does not run');
    links?.craft(pathsOf(one).scratch, victim);
    await restore(host.runtime, one, 'Running');
    expect(await inspectContainer(host.runtime, one.id)).toMatchObject({
      runtimeType: 'HyperV',
      process: { running: false },
      layersMounted: false,
    });
    expect(mountsOf(one)).toEqual([]);
    expectVictimUntouched();
    await expectHostAlive();
  });

  /** The device numbers of the disks in a utility VM. */
  const disksOf = async (one: AssignedContainer): Promise<readonly string[]> =>
    (await host.sh(one, 'cat /sys/block/vd*/dev')).split('\n').map((numbers) => numbers.replace(':', ' '));

  test('no process of a utility VM can create a device node or open one on its disk', async () => {
    const one = container({ runtimeType: 'HyperV', command: IDLE, switchName: 'none' });
    await host.up(one);
    const disks = await disksOf(one);
    expect(disks).toHaveLength(2);
    for (const numbers of [...disks.map((disk) => `b ${disk}`), 'c 1 1', 'c 1 3'])
      for (const folder of ['/', '/dev', '/dev/shm', '/tmp'])
        expect(await host.sh(one, `mknod ${folder}/made ${numbers} 2>&1 || echo refused`)).toMatch(
          /(Operation not permitted|No such file or directory)\nrefused$/,
        );
    await host.off(one);
    debugfs(
      pathsOf(one).scratch,
      'cd /upper',
      ...disks.map((numbers, index) => `mknod disk${index} b ${numbers}`),
      'mknod memory c 1 1',
    );
    await host.up(one);
    for (const node of ['disk0', 'disk1', 'memory'])
      expect(await host.sh(one, `test -e /${node} && dd if=/${node} count=1 2>&1 || echo refused`)).toMatch(
        /Permission denied\nrefused$/,
      );
    expect(
      await host.sh(
        one,
        'echo x > /dev/null; head -c 4 /dev/zero | wc -c; test -c /dev/ptmx && echo terminal',
      ),
    ).toBe('4\nterminal');
  });

  test('no process of a Default container can create a device node or open one on its disk', async () => {
    const one = container({ runtimeType: 'Default', command: IDLE, switchName: 'none' });
    await host.up(one);
    for (const folder of ['/', '/dev', '/dev/shm'])
      expect(await host.sh(one, `mknod ${folder}/made b 7 0 2>&1 || echo refused`)).toMatch(
        /Operation not permitted\nrefused$/,
      );
    await host.off(one);
    debugfs(pathsOf(one).scratch, 'cd /upper', 'mknod loop b 7 0', 'mknod memory c 1 1');
    await host.up(one);
    for (const node of ['loop', 'memory'])
      expect(await host.sh(one, `test -e /${node} && dd if=/${node} count=1 2>&1 || echo refused`)).toMatch(
        /Permission denied\nrefused$|Operation not permitted\nrefused$/,
      );
  });
});
if (!possible) test.todo('cannot run on this machine');
