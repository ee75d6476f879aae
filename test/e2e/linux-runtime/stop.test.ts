import { describe, expect, jest, test } from '@jest/globals';
import { containerPids } from '../../../agent/runtimes/linux/cgroups.ts';
import { createLayout } from '../../../agent/runtimes/linux/layout.ts';
import { ADOPT_TIMEOUT_MS } from '../../../agent/runtimes/linux/vm/vm-containers.ts';
import type { RuntimeType } from '../../../core/contract/primitives.ts';
import { container } from '../../helpers/assigned-container.ts';
import { bring, canHostLinux, until } from '../../helpers/linux-host.ts';
import { SharedLinuxHost } from '../../helpers/shared-linux-host.ts';

jest.setTimeout(120_000);
const possible = await canHostLinux();
const real = possible ? describe : describe.skip;
const TYPES: readonly RuntimeType[] = ['Default', 'HyperV'];

real('a stop', () => {
  const host = new SharedLinuxHost('stop');

  /** As in Docker, the main process is responsible for ending its children. */
  test.each(TYPES)('%s: is sent only to the main process', async (runtimeType) => {
    // A shell in `wait` handles a signal immediately.
    const child = 'trap "echo child" TERM; echo up; while [ ! -e /end ]; do :; done';
    const program = `trap "echo main" TERM; sh -c '${child}' & wait; wait; sleep 1; exit 4`;
    const one = container({ runtimeType, command: ['sh', '-c', program], switchName: 'none' });
    await host.up(one);
    const said = async (): Promise<string[]> =>
      (await host.runtime.readLog(one.id, {})).items.map(({ text }) => text);
    await until(async () => (await said()).includes('up'));
    const stopped = host.runtime.stopProcess(one.id, 60, new AbortController().signal);
    await until(async () => (await said()).includes('main'));
    await host.sh(one, 'touch /end');
    await stopped;
    expect(await said()).toEqual(['up', 'main']);
    const [observed] = await host.runtime.inspect(one.id);
    expect(observed?.process).toMatchObject({ running: false, exitCode: 4 });
  });

  test('HyperV: succeeds and the container can be removed even if its VM no longer responds', async () => {
    const one = container({ runtimeType: 'HyperV', command: ['sleep', '600'], switchName: 'none' });
    await host.up(one);
    await host.sh(one, 'echo kept > /kept; sync');
    const [before] = await host.runtime.inspect(one.id);
    const worker = before?.workerProcess?.pid ?? 0;
    process.kill(worker, 'SIGSTOP');
    await host.off(one);
    const [after] = await host.runtime.inspect(one.id);
    expect(after).toMatchObject({
      utilityVm: 'Absent',
      workerProcess: null,
      process: { running: false, exitCode: 137 },
    });
    // The disk was not unmounted, so it is checked before the container starts again.
    await host.up(one);
    expect(await host.sh(one, 'cat /kept')).toBe('kept');
    await bring(host.runtime, one.id, null, 'Absent');
    expect(await host.runtime.inspect(one.id)).toEqual([]);
  });

  test('HyperV: an agent starts even if VMs no longer respond, and their containers have ended', async () => {
    const make = (runtimeType: RuntimeType) =>
      container({ runtimeType, command: ['sleep', '600'], switchName: 'none' });
    const [other, ...hung] = [make('Default'), make('HyperV'), make('HyperV'), make('HyperV')];
    for (const one of [other, ...hung]) await host.up(one);
    for (const { id } of hung) {
      const [before] = await host.runtime.inspect(id);
      process.kill(before?.workerProcess?.pid ?? 0, 'SIGSTOP');
    }
    host.runtime.close();
    const began = performance.now();
    await host.reopen();
    // One after the other, they would take the time limit of each.
    expect(performance.now() - began).toBeLessThan(hung.length * ADOPT_TIMEOUT_MS);
    for (const { id } of hung) {
      const [after] = await host.runtime.inspect(id);
      expect(after).toMatchObject({ utilityVm: 'Absent', process: { running: false, exitCode: 137 } });
    }
    expect(await host.sh(other, 'echo unharmed')).toBe('unharmed');
  });

  test('Default: a start that does not end is aborted, and the container can be removed', async () => {
    const { tag } = createLayout(host.folder);
    const usual = container({ command: ['sleep', '600'], switchName: 'none' });
    // runc's time for variables grows with the square of their number: hours for these.
    const env = Object.fromEntries(Array.from({ length: 100_000 }, (_, index) => [`V${index}`, 'x']));
    const one = { ...usual, spec: { ...usual.spec, env } };
    const abort = new AbortController();
    const starting = bring(host.runtime, one.id, one, 'Running', 'once', abort.signal);
    await until(async () => (await containerPids(tag, one.id)).length > 0);
    abort.abort(new TypeError('superseded'));
    await expect(starting).rejects.toThrow('superseded');
    expect(await containerPids(tag, one.id)).toEqual([]);
    await bring(host.runtime, one.id, null, 'Absent');
    expect(await host.runtime.inspect(one.id)).toEqual([]);
  });
});
if (!possible) test.todo('cannot run on this machine');
