import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { containerPaths, createLayout } from '../../../agent/runtimes/linux/layout.ts';
import type { AssignedContainer } from '../../../core/contract/agent/commands.ts';
import { container } from '../../helpers/agent-process.ts';
import { CRAFTED_FOLDERS, CRAFTED_SUPERBLOCKS } from '../../helpers/craft-disk.ts';
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
});
if (!possible) test.todo('not on this machine');
