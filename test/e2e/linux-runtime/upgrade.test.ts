import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { afterAll, describe, expect, jest, test } from '@jest/globals';
import type { RecordFile } from '../../../agent/formats/record-files.ts';
import { createLayout } from '../../../agent/runtimes/linux/layout.ts';
import { linuxRecordFiles } from '../../../agent/runtimes/linux/record-files.ts';
import type { RuntimeType } from '../../../core/contract/primitives.ts';
import { container } from '../../helpers/assigned-container.ts';
import {
  bring,
  canHostLinux,
  inspectContainer,
  linuxHostFolder,
  openTestHost,
  removeAllContainers,
} from '../../helpers/linux-host.ts';
import { findTraces, NO_TRACES } from '../../helpers/linux-leaks.ts';
import { runIn } from '../../helpers/run-in-container.ts';

jest.setTimeout(180_000);
const real = (await canHostLinux()) ? describe : describe.skip;
const FIXTURE = new URL('../../fixtures/agent-state/version-0/', import.meta.url).pathname;
const TYPES: readonly RuntimeType[] = ['Default', 'HyperV'];

/** The members of each kind of record in the state of the last agent without versions. */
const membersInFixture = (): ReadonlyMap<string, ReadonlySet<string>> => {
  const members = new Map<string, Set<string>>();
  for (const entry of readdirSync(FIXTURE, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || !/\.(json|digest)$/.test(entry.name)) continue;
    const record = JSON.parse(readFileSync(join(entry.parentPath, entry.name), 'utf8'));
    const kind = kindOf(join(entry.parentPath, entry.name));
    members.set(kind, new Set([...(members.get(kind) ?? []), ...Object.keys(record)]));
  }
  return members;
};
const kindOf = (path: string): string => (basename(dirname(path)) === 'images' ? 'image' : basename(path));

/** Writes a record as agents without versions did. */
const downgrade = async (file: RecordFile): Promise<void> => {
  const decoded = await file.read();
  if (decoded === null) return;
  if (decoded.kind !== 'record') throw new TypeError(`${file.path} is ${decoded.kind}`);
  const known = membersInFixture().get(kindOf(file.path));
  for (const member of Object.keys(decoded.record ?? {}))
    if (!known?.has(member)) throw new TypeError(`Version 0 of the ${file.what} has no ${member}`);
  writeFileSync(file.path, JSON.stringify(decoded.record));
};

real('an update of the agent under running containers', () => {
  const folder = linuxHostFolder('upgrade');
  const layout = createLayout(folder);
  afterAll(async () => expect(await findTraces(folder)).toEqual(NO_TRACES));

  test('keeps Default and HyperV containers that an agent without versions started', async () => {
    const running = TYPES.map((runtimeType) => container({ runtimeType, command: ['sleep', '6000'] }));
    const ended = TYPES.map((runtimeType) => container({ runtimeType, command: ['sh', '-c', 'exit 7'] }));
    const old = await openTestHost(folder);
    for (const one of running) await bring(old, one.id, one, 'Running', `run-${one.id}`);
    const exits = new Set<string>();
    const allEnded = new Promise<void>((resolve) => {
      old.onExit((id) => exits.add(id).size === ended.length && resolve());
    });
    for (const one of ended) await bring(old, one.id, one, 'Running');
    await allEnded;
    const before = await Promise.all(running.map(({ id }) => inspectContainer(old, id)));
    const processes = await Promise.all(running.map(({ id }) => old.listProcesses(id)));
    old.close();
    for (const file of await linuxRecordFiles(layout)) await downgrade(file);

    const updated = await openTestHost(folder);
    try {
      expect(await Promise.all(running.map(({ id }) => inspectContainer(updated, id)))).toEqual(before);
      for (const [index, { id }] of running.entries()) {
        const { exitCode, stdout } = await runIn(updated, id, { command: ['echo', 'still here'] });
        expect({ exitCode, stdout }).toEqual({ exitCode: 0, stdout: 'still here\n' });
        const pids = (all: readonly { pid: number; name: string }[] = []) =>
          all.filter(({ name }) => name === 'sleep').map(({ pid }) => pid);
        expect(pids(await updated.listProcesses(id))).toEqual(pids(processes[index]));
      }
      for (const { id } of ended)
        expect(await inspectContainer(updated, id)).toMatchObject({
          process: { running: false, exitCode: 7 },
        });
      for (const file of await linuxRecordFiles(layout)) {
        const decoded = await file.read();
        if (decoded !== null) expect(decoded).toMatchObject({ kind: 'record', isOlder: false });
      }
      for (const one of running) await bring(updated, one.id, one, 'Off');
    } finally {
      await removeAllContainers(updated);
      await updated.shutDown();
    }
  });

  test('to an older version is refused if a newer agent started a container, which continues to run', async () => {
    const one = container({ command: ['sleep', '6000'] });
    const newer = await openTestHost(folder);
    await bring(newer, one.id, one, 'Running');
    newer.close();
    const record = join(layout.containers, one.id, 'container.json');
    const text = readFileSync(record, 'utf8');
    writeFileSync(record, text.replace('"version":1', '"version":2'));
    await expect(openTestHost(folder)).rejects.toThrow(/written by a newer agent.* reads versions up to 1/);

    writeFileSync(record, text);
    const again = await openTestHost(folder);
    try {
      expect(await inspectContainer(again, one.id)).toMatchObject({ process: { running: true } });
    } finally {
      await removeAllContainers(again);
      await again.shutDown();
    }
  });
});
