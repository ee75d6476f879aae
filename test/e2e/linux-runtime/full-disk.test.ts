import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { systemClock } from '../../../agent/clock.ts';
import { layerSizeMB, makeEmptyLayer } from '../../../agent/runtimes/linux/container/empty-layer.ts';
import { findForeignSuperblock } from '../../../agent/runtimes/linux/container/superblock.ts';
import { containerPaths, createLayout } from '../../../agent/runtimes/linux/layout.ts';
import { openSqliteState } from '../../../agent/state/sqlite-state.ts';
import type { Command } from '../../../core/contract/agent/commands.ts';
import type { RuntimeType } from '../../../core/contract/primitives.ts';
import { container } from '../../helpers/assigned-container.ts';
import { canHostLinux, inspectContainer, linuxHostFolder, until } from '../../helpers/linux-host.ts';
import { runIn } from '../../helpers/run-in-container.ts';
import { SharedLinuxHost } from '../../helpers/shared-linux-host.ts';
import { SmallDisk } from '../../helpers/small-disk.ts';

jest.setTimeout(300_000);
const possible = await canHostLinux();
const real = possible ? describe : describe.skip;
const TYPES: readonly RuntimeType[] = ['Default', 'HyperV'];
const MIB = 1024 * 1024;
const DISK_MB = 64;
const make = (runtimeType: RuntimeType, command = ['sleep', '600'], diskMB = DISK_MB) => {
  const one = container({ runtimeType, command, switchName: 'none' });
  return { ...one, spec: { ...one.spec, resources: { memoryMB: 128, cpus: 1, diskMB } } };
};

real('a container that fills its disk', () => {
  let disk: SmallDisk;
  beforeAll(() => {
    disk = new SmallDisk(linuxHostFolder('full-disk'), 2560);
  });
  const host = new SharedLinuxHost('full-disk', { templates: false });
  afterAll(() => disk.remove());

  test('the host reports no more disk than its file system has', async () => {
    const { capacity } = await host.runtime.facts();
    expect(capacity.diskMB).toBeGreaterThan(0);
    expect(capacity.diskMB * MIB).toBeLessThan(disk.freeBytes);
  });

  test.each(TYPES)(
    '%s: gets errors, without effect on the host’s file system and other containers',
    async (type) => {
      const [greedy, neighbour] = [make(type), make(type)];
      for (const one of [greedy, neighbour]) await host.up(one);
      const before = disk.freeBytes;
      const full = await runIn(host.runtime, greedy.id, {
        command: ['dd', 'if=/dev/zero', 'of=/big', 'bs=1M'],
      });
      expect(full).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('No space left on device') });
      await host.sh(greedy, 'sync');
      expect(before - disk.freeBytes).toBeLessThan(MIB);
      expect(await host.sh(neighbour, 'echo kept > /file; sync; cat /file')).toBe('kept');
      expect(await host.sh(greedy, 'rm /big; echo again > /file; cat /file')).toBe('again');
    },
  );

  test.each(TYPES)('%s: sparse files, many inodes and deep folders stay within its disk', async (type) => {
    const one = make(type);
    await host.up(one);
    const before = disk.freeBytes;
    expect(await host.sh(one, 'truncate -s 1024G /sparse; stat -c %s /sparse')).toBe(String(2 ** 40));
    const files = await runIn(host.runtime, one.id, {
      // With exit code 255, xargs ends at the first error.
      command: [
        'sh',
        '-c',
        'mkdir /many; cd /many; seq 1 40000 | xargs -n 500 sh -c \'touch "$@" || exit 255\' sh',
      ],
    });
    expect(files).toMatchObject({ stderr: expect.stringContaining('No space left on device') });
    await host.sh(one, "(cd /many; seq 1 2000 | xargs rm); mkdir -p $(printf '/d%.0s' $(seq 1 1000)); sync");
    expect(before - disk.freeBytes).toBeLessThan(MIB);
    await host.off(one);
    await host.up(one);
    expect(await host.sh(one, 'stat -c %s /sparse')).toBe(String(2 ** 40));
  });

  test('the layer’s whole disk space is allocated when it is created', async () => {
    const one = make('Default', ['sleep', '600'], 100);
    await host.up(one);
    const { scratch } = containerPaths(createLayout(host.folder), one.id);
    const { size, blocks } = statSync(scratch);
    expect([size, blocks * 512 >= size]).toEqual([100 * MIB, true]);
    expect(Number(await host.sh(one, "df -m / | awk 'END{print $2}'"))).toBeLessThanOrEqual(100);
  });

  test.each(TYPES)('%s: writing zeros releases no disk space to the host', async (type) => {
    const one = make(type);
    await host.up(one);
    const { scratch } = containerPaths(createLayout(host.folder), one.id);
    // A small write makes the kernel zero the rest of a preallocated block.
    const script = `fallocate -l 32M /ahead
      for at in $(seq 0 80 8000); do echo x | dd of=/ahead bs=4k seek=$at conv=notrunc status=none; done
      sync`;
    await host.sh(one, script);
    const { size, blocks } = statSync(scratch);
    expect(blocks * 512).toBeGreaterThanOrEqual(size);
  });

  test('Default: mounting its disk does not make the kernel write zeros', async () => {
    const one = make('Default');
    await host.up(one);
    const { rw } = containerPaths(createLayout(host.folder), one.id);
    const mounts = readFileSync('/proc/self/mounts', 'utf8').split('\n');
    expect(mounts.find((line) => line.split(' ')[1] === rw)).toContain('noinit_itable');
  });

  test('a container without enough disk space is refused with a reason and leaves no files', async () => {
    const large = make('Default', ['sleep', '600'], 4096);
    const before = disk.freeBytes;
    await expect(host.up(large)).rejects.toThrow(
      'The host has too little disk space for a writable layer of 4096 MiB',
    );
    expect(before - disk.freeBytes).toBeLessThan(MIB);
  });

  test.each(TYPES)(
    '%s: running containers continue when another program has filled the host’s disk',
    async (type) => {
      const one = make(type, [
        'sh',
        '-c',
        'echo begun; while [ ! -e /go ]; do sleep 0.1; done; echo over; exit 3',
      ]);
      await host.up(one);
      const log = async () => (await host.runtime.readLog(one.id, {})).items.map(({ text }) => text);
      await until(async () => (await log()).includes('begun'));
      disk.fill();
      try {
        expect(disk.freeBytes).toBeLessThan(MIB);
        await expect(host.up(make(type))).rejects.toThrow(
          `too little disk space for a writable layer of ${DISK_MB} MiB`,
        );
        await host.sh(one, 'dd if=/dev/zero of=/mine bs=1M count=16 && sync && rm /mine');
        expect((await host.runtime.listProcesses(one.id)).length).toBeGreaterThan(0);
        expect(await log()).toContain('begun');
        await host.sh(one, 'touch /go');
        await until(async () => (await inspectContainer(host.runtime, one.id))?.process?.endedAt !== null);
        expect((await inspectContainer(host.runtime, one.id))?.process).toMatchObject({
          running: false,
          exitCode: 3,
        });
      } finally {
        disk.empty();
      }
      const next = make(type);
      await host.up(next);
      expect(await host.sh(next, 'echo fine')).toBe('fine');
    },
  );
});

real('writable layers', () => {
  test.each([64, 65, 100, 127, 129, 257, 513, 2048, 10_240, 65_537, 1_048_576])(
    'of %d MiB have a superblock that can be mounted',
    async (megabytes) => {
      const folder = mkdtempSync(join(tmpdir(), 'layer-'));
      try {
        await makeEmptyLayer(join(folder, 'layer'), layerSizeMB(megabytes));
        expect(await findForeignSuperblock(join(folder, 'layer'))).toBeNull();
      } finally {
        rmSync(folder, { recursive: true });
      }
    },
  );
});

real('the agent’s journal on a full disk', () => {
  let disk: SmallDisk;
  beforeAll(() => {
    disk = new SmallDisk(join(linuxHostFolder('full-journal'), 'state'), 64);
  });
  afterAll(() => disk.remove());

  test('accepts commands and stores answers, even after a restart', () => {
    const open = () => openSqliteState(join(disk.folder, 'journal.sqlite'), systemClock);
    const one = container();
    const command = (id: string): Command => ({
      id,
      hostId: one.id,
      containerId: one.id,
      epoch: 1,
      ttlSeconds: 60,
      arguments: { verb: 'startContainer', container: one },
    });
    const work = (state: ReturnType<typeof open>, name: string) => {
      for (let at = 0; at < 300; at += 1) {
        const id = `${name}-${at}`;
        state.receive(command(id), {
          ...{ monotonicMs: 0, nowMs: 1_000, expiresAtMs: 61_000 },
          changesContainer: true,
        });
        state.begin(id, { layerExisted: false, runningInstance: null });
        state.answer(id, { status: 'succeeded', commandId: id, steps: [], observed: null });
        state.acknowledge(id);
      }
      expect(state.command(`${name}-299`)?.state).toBe('acknowledged');
    };
    for (const round of ['first', 'second', 'third']) {
      const state = open();
      try {
        disk.fill();
        expect(disk.freeBytes).toBeLessThan(MIB);
        work(state, round);
      } finally {
        state.close();
      }
      // Simulates another program that uses every free byte.
      if (round !== 'second') disk.empty();
    }
  });
});
if (!possible) test.todo('cannot run on this machine');
