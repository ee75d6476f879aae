import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, jest, test } from '@jest/globals';
import { createLayout } from '../../../agent/runtimes/linux/layout.ts';
import { commandLineOf, listPids, readStat } from '../../../agent/runtimes/linux/proc.ts';
import { templateLimits, templateReserveMB } from '../../../agent/runtimes/linux/vm/kept-templates.ts';
import { container } from '../../helpers/assigned-container.ts';
import { canHostLinux } from '../../helpers/linux-host.ts';
import { scaled } from '../../helpers/scaled.ts';
import { SharedLinuxHost } from '../../helpers/shared-linux-host.ts';

jest.setTimeout(580_000);
const possible = await canHostLinux();
const real = possible ? describe : describe.skip;
/** Several times the number of templates that a host keeps. */
const SHAPES = scaled({ ci: 50, whole: 200 });
const MIB = 1024 * 1024;

/** Processes that hold the memory of a template for this process. */
const holders = () =>
  listPids().filter(
    (pid) => commandLineOf(pid)[1] === 'hold-template' && Number(readStat(pid)?.fields[1]) === process.pid,
  );

real(`${SHAPES} shapes of utility VM`, () => {
  const host = new SharedLinuxHost('many-shapes');
  const shaped = (memoryMB: number) => {
    const one = container({ runtimeType: 'HyperV', switchName: 'none' });
    return { ...one, spec: { ...one.spec, resources: { memoryMB, cpus: 1, diskMB: 64 } } };
  };
  const bytesOf = (folder: string) =>
    readdirSync(folder).reduce((sum, name) => sum + statSync(join(folder, name)).blocks * 512, 0);

  test('keep templates within their limits and do not block other containers', async () => {
    const neighbour = container({ command: ['sleep', '600'], switchName: 'none' });
    await host.up(neighbour);
    const { templates } = createLayout(host.folder);
    for (let at = 0; at < SHAPES; at += 1) {
      const one = shaped(64 + at * 64);
      await host.runtime.createWritableLayer(one);
      await host.runtime.createUtilityVm(one);
      await host.runtime.destroyUtilityVm(one.id);
      await host.runtime.removeWritableLayer(one.id);
      if (at % 20 === 0) expect(await host.sh(neighbour, 'echo unharmed')).toBe('unharmed');
    }
    const limits = templateLimits((await host.runtime.facts()).capacity.memoryMB);
    const kept = readdirSync(templates).filter((name) => !name.includes('.'));
    expect(limits.count).toBeLessThan(SHAPES / 4);
    expect(kept.length).toBeLessThanOrEqual(limits.count);
    expect(holders().length).toBeLessThanOrEqual(limits.count);
    const bytes = kept.reduce((sum, name) => sum + bytesOf(join(templates, name)), 0);
    expect(bytes).toBeLessThanOrEqual(templateReserveMB(limits) * MIB);
  });
});
if (!possible) test.todo('cannot run on this machine');
