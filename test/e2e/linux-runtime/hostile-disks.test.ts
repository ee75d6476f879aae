import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { containerPaths, createLayout } from '../../../agent/runtimes/linux/layout.ts';
import type { AssignedContainer } from '../../../core/contract/agent/commands.ts';
import { container } from '../../helpers/agent-process.ts';
import { CRAFTED_FOLDERS, CRAFTED_SUPERBLOCKS, debugfs } from '../../helpers/craft-disk.ts';
import { canHostLinux, look } from '../../helpers/linux-host.ts';
import { SharedLinuxHost } from '../../helpers/shared-linux-host.ts';

jest.setTimeout(180_000);
const possible = await canHostLinux();
const real = possible ? describe : describe.skip;
const SECRET = 'secret of the host';
const IDLE = ['sleep', '600'];

real('a disk that hostile code wrote', () => {
  const host = new SharedLinuxHost('hostile');
  /** A folder of the host on the same file system, as an overlay could use it. */
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
      .filter((line) => line.includes(pathsOf(one).run));
  /** A container whose code ran in a VM, stopped; its disk is as that VM left it. */
  const stopped = async (script = 'true'): Promise<AssignedContainer> => {
    const one = container({ runtimeType: 'HyperV', command: IDLE, switchName: 'none' });
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

  test.each([...CRAFTED_FOLDERS, ...CRAFTED_SUPERBLOCKS])('$what', async ({ craft, problem }) => {
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
      expect(await look(host.runtime, one.id)).toMatchObject({
        layersMounted: false,
        process: { running: false },
      });
    }
    expectVictimUntouched();
    await expectHostAlive();
  });

  /** The numbers of the disks of a utility VM, as its kernel shows them. */
  const disksOf = async (one: AssignedContainer): Promise<readonly string[]> =>
    (await host.sh(one, 'cat /sys/block/vd*/dev')).split('\n').map((numbers) => numbers.replace(':', ' '));

  test('no process of a utility VM makes a device or opens one of its disk', async () => {
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

  test('no process on this machine makes a device or opens one of its disk', async () => {
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
if (!possible) test.todo('not on this machine');
