import { mkdtempSync, readdirSync, rmSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { createLayout } from '../../../agent/runtimes/linux/layout.ts';
import { commandLineOf, listPids, parentOf } from '../../../agent/runtimes/linux/proc.ts';
import { container } from '../../helpers/assigned-container.ts';
import { bring, canHostLinux, inspectContainer, until } from '../../helpers/linux-host.ts';
import { busyboxLayer, writeLayout } from '../../helpers/oci-image.ts';
import { SharedLinuxHost } from '../../helpers/shared-linux-host.ts';

jest.setTimeout(240_000);
const possible = await canHostLinux();
const real = possible ? describe : describe.skip;

real('the template of utility VMs', () => {
  const images = mkdtempSync(join(tmpdir(), 'bulkhead-template-images-'));
  afterAll(() => rmSync(images, { recursive: true, force: true }));
  const host = new SharedLinuxHost('templates', { poolSize: 1, imageFolders: [images] });
  const { templates } = createLayout(host.folder);
  const kept = () => readdirSync(templates).filter((name) => !name.includes('.'));
  const holders = () =>
    listPids().filter((pid) => commandLineOf(pid)[1] === 'hold-template' && parentOf(pid) === process.pid);
  const full = () => until(() => host.runtime.readyVms === 1);
  const make = (image = 'mini') =>
    container({ image, runtimeType: 'HyperV', command: ['/bin/sleep', '600'], switchName: 'none' });
  const isClone = async ({ id }: { id: string }) =>
    commandLineOf((await inspectContainer(host.runtime, id))?.workerProcess?.pid ?? 0).includes('-incoming');
  /** Starts two containers, of which the pool has a VM for the first only. */
  const startTwo = async () => {
    const both = [make(), make()];
    for (const one of both) await host.up(one);
    for (const one of both) expect(await host.sh(one, 'echo runs')).toBe('runs');
    return Promise.all(both.map(isClone));
  };
  const importMark = async (mark: string) => {
    const path = join(images, mark);
    writeLayout(path, { layers: [busyboxLayer(`${mark}\n`)] });
    await host.runtime.importImage({ name: 'marked', source: { path } }, new AbortController().signal);
  };
  beforeEach(full);

  test('is created again when its folder was deleted', async () => {
    rmSync(templates, { recursive: true });
    expect(await startTwo()).toEqual([true, false]);
    await full();
    expect(kept()).toHaveLength(1);
    expect(await startTwo()).toEqual([true, true]);
  });

  test('is loaded again when the process that holds its memory was killed', async () => {
    const [holder = 0] = holders();
    process.kill(holder, 'SIGKILL');
    await until(() => !holders().includes(holder));
    expect(await startTwo()).toEqual([true, true]);
    await full();
    expect(holders()).toHaveLength(1);
  });

  test.each(['ram', 'state'])('is created again when the agent finds its %s empty', async (file) => {
    await host.runtime.shutDown();
    truncateSync(join(templates, kept()[0] ?? '', file), 0);
    await host.reopen();
    await full();
    expect(await startTwo()).toEqual([true, true]);
  });

  test('has nothing of an image: clones have the image that its name has now, and earlier ones keep theirs', async () => {
    await importMark('first');
    const before = make('marked');
    await host.up(before);
    for (let times = 0; times < 2; times++) {
      await full();
      const one = make('marked');
      await host.up(one);
      await bring(host.runtime, one.id, null, 'Absent');
    }
    await full();
    await importMark('second');
    const after = [make('marked'), make('marked')];
    for (const one of after) await host.up(one);
    expect(await host.sh(before, 'cat /mark')).toBe('first');
    for (const one of after) expect(await host.sh(one, 'cat /mark')).toBe('second');
    await bring(host.runtime, before.id, null, 'Absent');
    for (const one of after) expect(await host.sh(one, 'cat /mark')).toBe('second');
    for (const one of after) await bring(host.runtime, one.id, null, 'Absent');
    await host.runtime.removeImage('marked');
    const other = make();
    await host.up(other);
    expect(await host.sh(other, 'test ! -e /mark && echo clean')).toBe('clean');
  });
});
if (!possible) test.todo('cannot run on this machine');
