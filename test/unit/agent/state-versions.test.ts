import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import * as z from 'zod/mini';
import { EXIT_CODES } from '../../../agent/errors.ts';
import { refuseNewerRecords, upgradeRecords } from '../../../agent/formats/record-files.ts';
import {
  addMembers,
  decodeRecord,
  encodeRecord,
  type RecordFormat,
} from '../../../agent/formats/record-format.ts';
import { commandKeysIn, identityFiles, loadEnrollment } from '../../../agent/link/identity.ts';
import { createLog } from '../../../agent/log.ts';
import { ContainerRecords } from '../../../agent/runtimes/linux/container/records.ts';
import { createLayout, type Layout } from '../../../agent/runtimes/linux/layout.ts';
import { linuxRecordFiles } from '../../../agent/runtimes/linux/record-files.ts';
import { WORLD_FORMAT, World } from '../../../agent/runtimes/simulated/world.ts';
import { JOURNAL_FORMAT } from '../../../agent/state/journal-tables.ts';
import { openSqliteState } from '../../../agent/state/sqlite-state.ts';
import { refuseNewerState, stateFiles, upgradeIdentity } from '../../../agent/state-directory.ts';
import { ManualClock } from '../../helpers/manual-clock.ts';

const FIXTURES = new URL('../../fixtures/agent-state/', import.meta.url).pathname;
const clock = new ManualClock();
const id = (index: number) => `0b1f6f0e-3f0c-4a53-9d5f-00000000000${index}`;

let root: string;
let stateDir: string;
let layout: Layout;
let logged: string[];
const log = createLog({
  level: 'debug',
  forPeople: false,
  clock,
  write: (line) => logged.push(line),
});

/** A copy of the state directory of that version of the agent. */
const restore = (version: string): void => {
  cpSync(join(FIXTURES, version), stateDir, { recursive: true });
  mkdirSync(layout.run, { recursive: true });
  cpSync(join(FIXTURES, version, 'run'), layout.run, { recursive: true });
};

const filesIn = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();

const contents = (): Record<string, string> =>
  Object.fromEntries(filesIn(root).map((file) => [file, readFileSync(file, 'base64')]));

const databaseVersion = (file: string): unknown => {
  const database = new DatabaseSync(file);
  const row = database.prepare('PRAGMA user_version').get();
  database.close();
  return row?.user_version;
};

const records = () => new ContainerRecords({ layout });

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'bulkhead-versions-'));
  stateDir = join(root, 'state');
  mkdirSync(stateDir);
  layout = createLayout(stateFiles(stateDir).linux, join(root, 'run'));
  logged = [];
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

describe('a record', () => {
  const format: RecordFormat<{ id: string; size: number; kind: string }> = {
    name: 'test record',
    schema: z.strictObject({ id: z.string(), size: z.number(), kind: z.string() }),
    upgrades: [
      addMembers({ size: 1 }),
      (older) => ({ ...z.parse(z.looseObject({}), older), kind: 'second' }),
    ],
  };

  test('carries the newest version', () => {
    const record = { id: 'a', size: 2, kind: 'x' };
    expect(encodeRecord(format, record)).toBe('{"version":2,"id":"a","size":2,"kind":"x"}');
    expect(decodeRecord(format, encodeRecord(format, record))).toEqual({
      ...{ kind: 'record', isOlder: false, record },
    });
  });

  test.each([
    ['without a version', '{"id":"a"}', { id: 'a', size: 1, kind: 'second' }],
    ['without a version, complete', '{"id":"a","size":7}', { id: 'a', size: 7, kind: 'second' }],
    ['of an older version', '{"version":1,"id":"a","size":7}', { id: 'a', size: 7, kind: 'second' }],
  ])('%s is read as one of the newest', (_, text, record) => {
    expect(decodeRecord(format, text)).toEqual({ kind: 'record', isOlder: true, record });
  });

  test('of a newer version is not read, regardless of its content', () => {
    expect(decodeRecord(format, '{"version":3,"id":"a","size":7,"kind":"x"}')).toEqual({
      ...{ kind: 'newer', version: 3 },
    });
  });

  test.each([
    ['', 'truncated'],
    ['{"version":2,"id":"a"', 'truncated'],
    ['{"version":"2","id":"a","size":7,"kind":"x"}', 'with a version that is no number'],
    ['{"version":0,"id":"a"}', 'with version 0, which is never written'],
    ['{"version":2,"id":"a","size":7,"kind":"x","more":1}', 'with an unknown member'],
    ['[]', 'of another form'],
  ])('%j is unreadable: %s', (text) => {
    expect(decodeRecord(format, text).kind).toBe('unreadable');
  });
});

describe('the state directory of an agent of version 0', () => {
  beforeEach(() => restore('version-0'));

  test('is accepted, upgraded once and keeps its values', async () => {
    await refuseNewerState(stateDir);
    const files = (await linuxRecordFiles(layout)).filter(({ path }) => existsSync(path));
    const before = await Promise.all(files.map((file) => file.read()));
    expect(files).toHaveLength(20);
    expect(before.every((one) => one?.kind === 'record' && one.isOlder)).toBe(true);
    await upgradeIdentity(stateDir, log);
    await refuseNewerRecords(files);
    await upgradeRecords(files, log);
    const after = await Promise.all(files.map((file) => file.read()));
    expect(after.every((one) => one?.kind === 'record' && !one.isOlder)).toBe(true);
    const bodies = (all: typeof after) => all.map((one) => one?.kind === 'record' && one.record);
    expect(bodies(after)).toEqual(bodies(before));
    const upgraded = contents();
    await upgradeIdentity(stateDir, log);
    await upgradeRecords(files, log);
    expect(contents()).toEqual(upgraded);
    expect(filesIn(root).filter((file) => file.endsWith('.new'))).toEqual([]);
    for (const file of [...files, ...identityFiles(stateDir)])
      expect(JSON.parse(readFileSync(file.path, 'utf8'))).toMatchObject({ version: file.newest });
  });

  test.each(['before', 'after'])('has its enrollment and its trusted keys %s the upgrade', async (when) => {
    if (when === 'after') await upgradeIdentity(stateDir, log);
    expect(loadEnrollment(stateDir)).toMatchObject({
      hostId: '830735bd-03e1-4c54-bf21-c66143ab9f95',
      tenant: 'acme',
    });
    expect(commandKeysIn(stateDir).load()).toEqual([
      { publicKey: 'S0XctZ6E5FhbOkNBdZvSyP9ti3wNv7qfHipkhOAZYKQ', untilMs: null },
    ]);
  });

  test('has its containers, their runs and their exits', async () => {
    await upgradeRecords(await linuxRecordFiles(layout), log);
    const kept = records();
    expect((await kept.ids()).sort()).toEqual([id(1), id(2), id(3), id(4)]);
    expect(await kept.container(id(1))).toMatchObject({ runtimeType: 'Default', untrustedDisk: false });
    expect(await kept.container(id(2))).toMatchObject({ runtimeType: 'HyperV', untrustedDisk: true });
    expect(await kept.run(id(1))).toMatchObject({ begun: true, process: { pid: 15339 } });
    expect(await kept.exit(id(2))).toBeNull();
    for (const ended of [id(3), id(4)])
      expect(await kept.exit(ended)).toMatchObject({ exitCode: 7, signal: 0 });
  });

  test('an exit that the helper of the older agent writes after the upgrade is read', async () => {
    await upgradeRecords(await linuxRecordFiles(layout), log);
    writeFileSync(
      join(layout.containers, id(1), 'exit.json'),
      '{"exitCode":137,"signal":9,"endedAtMs":1795934016451,"outOfMemory":true}\n',
    );
    expect(await records().exit(id(1))).toEqual({
      ...{ exitCode: 137, signal: 9, endedAtMs: 1795934016451, outOfMemory: true },
    });
  });

  test('records from before untrusted disks were marked get the equivalent value', async () => {
    const [vm] = readdirSync(layout.runVms).map((name) => join(layout.runVms, name, 'vm.json'));
    const container = join(layout.containers, id(1), 'container.json');
    for (const file of [vm ?? '', container]) {
      const {
        ranImageCode: _,
        untrustedDisk: __,
        diskMB: ___,
        ...rest
      } = JSON.parse(readFileSync(file, 'utf8'));
      writeFileSync(file, JSON.stringify(rest));
    }
    await upgradeRecords(await linuxRecordFiles(layout), log);
    expect(JSON.parse(readFileSync(vm ?? '', 'utf8'))).toMatchObject({ version: 1, ranImageCode: true });
    expect(JSON.parse(readFileSync(container, 'utf8'))).toMatchObject({ version: 1, untrustedDisk: false });
  });

  test('has its journal', () => {
    const { journal } = stateFiles(stateDir);
    const state = openSqliteState(journal, clock);
    expect(state.container(id(1))).toMatchObject({
      desired: 'Running',
      newestEpoch: 1,
      container: { id: id(1), runtimeType: 'Default' },
      network: { revision: 2, policy: { egress: { default: 'deny' } } },
    });
    expect(state.containers()).toHaveLength(4);
    expect(state.command('f76db9ec-7777-41fe-8984-d653d1837fd8')).toMatchObject({ state: 'acknowledged' });
    expect(state.nextSequence()).toBeGreaterThan(1_000);
    state.close();
    expect(databaseVersion(journal)).toBe(2);
  });

  test('has its journal from before network policies', () => {
    const { journal } = stateFiles(stateDir);
    const database = new DatabaseSync(journal);
    database.exec('ALTER TABLE containers DROP COLUMN network; DROP TABLE spent_commands');
    database.close();
    const state = openSqliteState(journal, clock);
    expect(state.container(id(1))).toMatchObject({ desired: 'Running', network: null });
    state.close();
    expect(databaseVersion(journal)).toBe(2);
  });

  test('has its simulated machine', () => {
    const { simulatedWorld } = stateFiles(stateDir);
    const world = new World(simulatedWorld);
    expect(world.container(id(2))).toMatchObject({ id: id(2), utilityVm: 'Connected' });
    world.close();
    expect(databaseVersion(simulatedWorld)).toBe(2);
  });

  test('a record that cannot be rewritten keeps its version and stays readable', async () => {
    const files = await linuxRecordFiles(layout);
    const [file] = files.filter(({ path }) => path.endsWith(`${id(1)}/container.json`));
    if (file === undefined) throw new TypeError('no such record');
    const stubborn = { ...file, upgrade: () => Promise.reject(new TypeError('the disk is full')) };
    await upgradeRecords([stubborn, ...files.filter((one) => one !== file)], log);
    expect(logged.join('\n')).toContain('the disk is full');
    expect(await records().container(id(1))).toMatchObject({ runtimeType: 'Default' });
    expect(await records().run(id(1))).toMatchObject({ begun: true });
  });
});

describe('the state directory of an agent of version 1', () => {
  beforeEach(() => restore('version-1'));

  test('is accepted, upgraded once and keeps its values', async () => {
    await refuseNewerState(stateDir);
    const files = (await linuxRecordFiles(layout)).filter(({ path }) => existsSync(path));
    await upgradeRecords(files, log);
    for (const file of files) expect(await file.read()).toMatchObject({ kind: 'record', isOlder: false });
    const { journal, simulatedWorld } = stateFiles(stateDir);
    const state = openSqliteState(journal, clock);
    expect(state.container(id(1))).toMatchObject({ desired: 'Running', container: { id: id(1) } });
    state.close();
    const world = new World(simulatedWorld);
    expect(world.container(id(2))).toMatchObject({ id: id(2) });
    world.close();
    expect([databaseVersion(journal), databaseVersion(simulatedWorld)]).toEqual([2, 2]);
  });

  test('its images have the usual stop signal', async () => {
    await upgradeRecords(await linuxRecordFiles(layout), log);
    const image = JSON.parse(
      readFileSync(join(layout.images, '43385991f0be5fed6db7fb640c5f510d.json'), 'utf8'),
    );
    expect(image).toMatchObject({ version: 2, facts: { name: 'mini' }, defaults: { stopSignal: '' } });
  });
});

describe('the state directory of a newer agent', () => {
  beforeEach(() => restore('version-0'));

  const RECORDS = [
    'enrolment.json',
    'command-keys.json',
    `linux/containers/${id(1)}/container.json`,
    `linux/containers/${id(1)}/run.json`,
    `linux/containers/${id(3)}/exit.json`,
    `linux/containers/${id(2)}/attached.json`,
    'linux/images/43385991f0be5fed6db7fb640c5f510d.json',
  ];

  test.each(RECORDS)('is refused with a reason for %s and unchanged', async (name) => {
    writeFileSync(join(stateDir, name), '{"version":99,"of":"which this agent knows nothing"}');
    const before = contents();
    await expect(refuseNewerState(stateDir)).rejects.toMatchObject({
      exitCode: EXIT_CODES.stateUnusable,
      message: expect.stringMatching(
        `^The agent cannot start: .*${name} has version 99 of the .+, written by a newer agent; this agent reads versions up to \\d. Update the agent on this host.$`,
      ),
    });
    expect(contents()).toEqual(before);
  });

  test.each(['journal', 'simulatedWorld'] as const)('is refused with a reason for its %s', async (which) => {
    const file = stateFiles(stateDir)[which];
    const database = new DatabaseSync(file);
    database.exec('PRAGMA user_version = 99');
    database.close();
    const before = contents();
    await expect(refuseNewerState(stateDir)).rejects.toThrow(
      /has version 99 of the .* reads versions up to 2\./,
    );
    const open = () => (which === 'journal' ? openSqliteState(file, clock).close() : new World(file).close());
    expect(open).toThrow(/written by a newer agent/);
    const left = contents();
    for (const name of Object.keys(left)) if (name.endsWith('.reserve')) delete left[name];
    expect(left).toEqual(before);
  });

  test('is refused for a record that appears while the agent runs', async () => {
    writeFileSync(join(layout.containers, id(1), 'exit.json'), '{"version":2}');
    await expect(records().exit(id(1))).rejects.toThrow(/has version 2 of the exit record/);
  });
});

test('an empty state directory is accepted, and nothing is created in it', async () => {
  await refuseNewerState(stateDir);
  expect(readdirSync(stateDir)).toEqual([]);
});

test('the state of each older version of a format is kept as a fixture', async () => {
  restore('version-0');
  const files = [...identityFiles(stateDir), ...(await linuxRecordFiles(layout))];
  const databases = [JOURNAL_FORMAT, WORLD_FORMAT].map(({ upgrades }) => upgrades.length);
  const newest = Math.max(...files.map((file) => file.newest), ...databases);
  const versions = readdirSync(FIXTURES).filter((name) => name.startsWith('version-'));
  expect(versions.sort()).toEqual(Array.from({ length: newest }, (_, index) => `version-${index}`));
});
