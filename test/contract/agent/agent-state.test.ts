import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { StateUnavailableError } from '../../../agent/errors.ts';
import type { AgentState } from '../../../agent/state/agent-state.ts';
import { createFailingState, type StateOperation } from '../../../agent/state/failing-state.ts';
import { createMemoryState } from '../../../agent/state/memory-state.ts';
import { openSqliteState } from '../../../agent/state/sqlite-state.ts';
import type { Command, CommandResult } from '../../../core/contract/agent/commands.ts';
import { resolveNetworkPolicy } from '../../../core/contract/network.ts';
import { container } from '../../helpers/assigned-container.ts';
import { ManualClock } from '../../helpers/manual-clock.ts';

const HOST = 'aaaaaaaa-0000-4000-8000-000000000001';
const one = container();
const command = (id: string, epoch = 1, containerId: string | null = one.id): Command => ({
  id,
  hostId: HOST,
  containerId,
  epoch,
  ttlSeconds: 60,
  arguments: { verb: 'startContainer', container: one },
});
const succeeded = (commandId: string): CommandResult => ({
  status: 'succeeded',
  commandId,
  steps: [],
  observed: null,
});
const changing = { monotonicMs: 7, changesContainer: true, nowMs: 1_000, expiresAtMs: 61_000 };
const MIB = 1024 * 1024;
const pageOf = (text: string) => ({
  items: [{ at: '2026-01-01T00:00:00.000Z', stream: 'stdout' as const, text }],
  truncated: false,
  more: false,
  nextCursor: '0.0',
});
const step = {
  name: 'StartProcess',
  state: 'Running' as const,
  startedAt: '2026-01-01T00:00:00.000Z',
  durationMs: null,
};

let directory: string;
let clock: ManualClock;
const sqlite = () => openSqliteState(join(directory, 'journal.sqlite'), clock);
let failing = (_: StateOperation) => false;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'bulkhead-state-'));
  clock = new ManualClock();
  failing = () => false;
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

describe.each<[string, () => AgentState]>([
  ['in SQLite', sqlite],
  ['in memory', () => createMemoryState(clock)],
  [
    'with injected failures, without any',
    () => createFailingState(createMemoryState(clock), (operation) => failing(operation)),
  ],
])('a journal %s', (_, open) => {
  let state: AgentState;
  beforeEach(() => {
    state = open();
  });
  afterEach(() => state.close());

  test('a command is received once', () => {
    const first = state.receive(command('a'), changing);
    expect(first).toMatchObject({
      fresh: true,
      newestEpoch: 1,
      record: { id: 'a', state: 'received', receivedAtMs: 7 },
    });
    const again = state.receive(command('a', 9), { ...changing, monotonicMs: 99 });
    expect(again).toMatchObject({
      fresh: false,
      newestEpoch: 1,
      record: { receivedAtMs: 7, command: { epoch: 1 } },
    });
    expect(state.openCommands().map(({ id }) => id)).toEqual(['a']);
  });

  test('the id of a command is kept until it has expired, even if the rest is pruned earlier', async () => {
    state.receive(command('a'), changing);
    state.answer('a', succeeded('a'));
    state.acknowledge('a');
    state.prune(new Date(clock.now().getTime() + 1));
    expect(state.command('a')).toBeNull();
    const atTheEnd = { ...changing, nowMs: changing.expiresAtMs };
    expect(state.receive(command('a'), atTheEnd)).toEqual({ replayed: true });
    expect(state.command('a')).toBeNull();
    const after = { ...changing, nowMs: changing.expiresAtMs + 1 };
    expect(state.receive(command('b'), after)).toMatchObject({ replayed: false, fresh: true });
    expect(state.receive(command('a'), after)).toMatchObject({ replayed: false, fresh: true });
  });

  test('only commands that change a container raise its newest epoch, which never decreases', () => {
    state.receive(command('a', 5), changing);
    expect(state.receive(command('b', 3), changing).newestEpoch).toBe(5);
    expect(state.receive(command('c', 9), { ...changing, changesContainer: false }).newestEpoch).toBe(5);
    state.update(one.id, { appliedEpoch: 4 });
    state.update(one.id, { appliedEpoch: 2 });
    expect(state.container(one.id)).toMatchObject({ newestEpoch: 5, appliedEpoch: 4 });
  });

  test('a command changes from received to acknowledged and keeps its context and steps', () => {
    state.receive(command('a'), changing);
    expect(state.begin('a', { layerExisted: true, runningInstance: 'x' }).state).toBe('executing');
    const again = state.begin('a', { layerExisted: false, runningInstance: null });
    expect(again.context).toEqual({ layerExisted: true, runningInstance: 'x' });
    state.recordSteps('a', [step]);
    expect(state.openCommands()).toMatchObject([{ id: 'a', steps: [step], command: { id: 'a' } }]);
    state.answer('a', succeeded('a'));
    expect(state.openCommands()).toEqual([]);
    expect(state.unacknowledged()).toMatchObject([{ id: 'a', command: null, result: succeeded('a') }]);
    state.acknowledge('a');
    expect(state.unacknowledged()).toEqual([]);
    expect(state.command('a')).toMatchObject({ state: 'acknowledged', result: succeeded('a') });
    state.reopen('a');
    expect(state.unacknowledged()).toHaveLength(1);
  });

  test('only an answered command can be acknowledged, and only an acknowledged command can be reopened', () => {
    state.receive(command('a'), changing);
    state.acknowledge('a');
    state.reopen('a');
    state.acknowledge('unknown-id');
    expect(state.command('a')?.state).toBe('received');
    expect(state.command('unknown-id')).toBeNull();
  });

  test('recording for a command that was never received fails', () => {
    expect(() => state.begin('x', { layerExisted: false, runningInstance: null })).toThrow(
      StateUnavailableError,
    );
    expect(() => state.recordSteps('x', [])).toThrow(StateUnavailableError);
    expect(() => state.answer('x', succeeded('x'))).toThrow(StateUnavailableError);
  });

  test('commands are returned in the order of their arrival', () => {
    for (const id of ['c', 'a', 'b']) state.receive(command(id), changing);
    expect(state.openCommands().map(({ id }) => id)).toEqual(['c', 'a', 'b']);
    for (const id of ['b', 'c', 'a']) state.answer(id, succeeded(id));
    expect(state.unacknowledged().map(({ id }) => id)).toEqual(['c', 'a', 'b']);
  });

  test('a refusal is stored as an answer and replaces no other answer', () => {
    state.refuse('odd', succeeded('odd'));
    state.receive(command('a'), changing);
    state.refuse('a', succeeded('a'));
    expect(state.unacknowledged().map(({ id }) => id)).toEqual(['odd']);
    expect(state.command('a')?.state).toBe('received');
  });

  test('a container’s record has the last recorded values', () => {
    expect(state.container(one.id)).toBeNull();
    state.update(one.id, { container: one, desired: 'Running', appliedEpoch: 2 });
    state.update(one.id, { restartCount: 3, backoffMs: 400 });
    const record = {
      id: one.id,
      container: one,
      desired: 'Running',
      network: null,
      newestEpoch: 2,
      appliedEpoch: 2,
      restartCount: 3,
      backoffMs: 400,
    };
    expect(state.container(one.id)).toEqual(record);
    expect(state.containers()).toEqual([record]);
    state.update(one.id, { container: null, desired: 'Absent' });
    expect(state.container(one.id)).toMatchObject({ container: null, desired: 'Absent', newestEpoch: 2 });
  });

  test('changing a returned value does not change the journal', () => {
    state.update(one.id, { container: structuredClone(one) });
    const copy = state.container(one.id)?.container;
    if (copy) copy.name = 'changed';
    expect(state.container(one.id)?.container?.name).toBe(one.name);
  });

  test('the answer to a query is kept until it is acknowledged; afterwards only the fact that it was answered', () => {
    const text = 'x'.repeat(100_000);
    state.receive(command('query'), { ...changing, changesContainer: false });
    state.answer('query', { ...succeeded('query'), log: pageOf(text) } as CommandResult);
    expect(JSON.stringify(state.command('query'))).toContain(text);
    state.acknowledge('query');
    expect(JSON.stringify(state.command('query')).length).toBeLessThan(1_000);
    expect(state.receive(command('query'), changing)).toMatchObject({
      fresh: false,
      record: { state: 'acknowledged' },
    });
  });

  test('the answer to a command that changed a container is kept after its acknowledgement', () => {
    state.receive(command('start'), changing);
    state.begin('start', { layerExisted: false, runningInstance: null });
    state.answer('start', succeeded('start'));
    state.acknowledge('start');
    expect(state.command('start')?.result).toEqual(succeeded('start'));
  });

  test('sequence numbers of observations increase', () => {
    const numbers = Array.from({ length: 2_500 }, () => state.nextSequence());
    expect(numbers.every((number, index) => index === 0 || number > (numbers[index - 1] ?? 0))).toBe(true);
  });

  test('only old and finished entries are pruned', async () => {
    for (const id of ['open', 'answered', 'acknowledged']) state.receive(command(id, 1, null), changing);
    for (const id of ['answered', 'acknowledged']) state.answer(id, succeeded(id));
    state.acknowledge('acknowledged');
    state.update(one.id, { desired: 'Absent' });
    const waitedFor = container();
    state.update(waitedFor.id, { desired: 'Absent' });
    state.receive(command('coming', 1, waitedFor.id), changing);
    expect(state.prune(clock.now())).toBe(0);
    await clock.pass(10);
    state.update('bbbbbbbb-0000-4000-8000-000000000002', { desired: 'Off' });
    expect(state.prune(clock.now())).toBe(2);
    expect(state.command('acknowledged')).toBeNull();
    expect(state.command('open')).not.toBeNull();
    expect(state.unacknowledged()).toHaveLength(1);
    expect(state.container(one.id)).toBeNull();
    expect(state.container(waitedFor.id)).not.toBeNull();
    expect(state.containers()).toHaveLength(2);
  });
});

describe('a journal in SQLite', () => {
  test('keeps its entries and sequence numbers when it is reopened', () => {
    const before = sqlite();
    before.receive(command('a', 4), changing);
    before.begin('a', { layerExisted: false, runningInstance: null });
    before.recordSteps('a', [step]);
    const number = before.nextSequence();
    before.close();
    const after = sqlite();
    expect(after.openCommands()).toMatchObject([{ id: 'a', state: 'executing', steps: [step] }]);
    expect(after.container(one.id)?.newestEpoch).toBe(4);
    expect(after.nextSequence()).toBeGreaterThan(number);
    after.close();
  });

  test('of a version without network policies is read and can store them', () => {
    const file = join(directory, 'journal.sqlite');
    const earlier = sqlite();
    earlier.update(one.id, { container: one, desired: 'Running' });
    earlier.close();
    const database = new DatabaseSync(file);
    database.exec('ALTER TABLE containers DROP COLUMN network; PRAGMA user_version = 0');
    const { network: _, networkRevision: __, ...spec } = one.spec;
    database.prepare('UPDATE containers SET container = ?').run(JSON.stringify({ ...one, spec }));
    database.close();
    const network = { policy: resolveNetworkPolicy({ peers: 'switch' }), revision: 7 };
    for (const known of [null, network]) {
      const state = sqlite();
      expect(state.container(one.id)).toMatchObject({ desired: 'Running', container: one, network: known });
      state.update(one.id, { network });
      state.close();
    }
  });

  const bounded = (rows: number, bytes: number) =>
    openSqliteState(join(directory, 'journal.sqlite'), clock, { rows, bytes });
  const query = { ...changing, changesContainer: false };

  test('keeps a bounded number of commands: it drops acknowledged ones first, then answers to queries', () => {
    const state = bounded(700, 64 * MIB);
    state.receive(command('start'), changing);
    state.begin('start', { layerExisted: false, runningInstance: null });
    state.answer('start', succeeded('start'));
    for (let at = 0; at < 3_000; at += 1) {
      state.receive(command(`q${at}`), query);
      state.answer(`q${at}`, succeeded(`q${at}`));
      if (at % 2 === 0) state.acknowledge(`q${at}`);
    }
    expect(state.unacknowledged().length).toBeLessThanOrEqual(700);
    expect(state.command('q2999')).not.toBeNull();
    expect(state.command('start')?.state).toBe('answered');
    state.close();
  });

  test('refuses commands when it is full of unanswered ones', () => {
    const state = bounded(50, 64 * MIB);
    for (let at = 0; at < 50; at += 1) state.receive(command(`c${at}`), changing);
    expect(() => state.receive(command('more'), changing)).toThrow(StateUnavailableError);
    state.answer('c0', succeeded('c0'));
    state.acknowledge('c0');
    expect(state.receive(command('more'), changing)).toMatchObject({ fresh: true });
    state.close();
  });

  test('keeps a bounded number of bytes, including answers that are never acknowledged', () => {
    const bytes = 8 * MIB;
    const state = bounded(20_000, bytes);
    const text = 'x'.repeat(100_000);
    for (let at = 0; at < 300; at += 1) {
      state.receive(command(`q${at}`), query);
      state.answer(`q${at}`, { ...succeeded(`q${at}`), log: pageOf(text) } as CommandResult);
    }
    expect(state.command('q299')?.state).toBe('answered');
    expect(statSync(join(directory, 'journal.sqlite')).size).toBeLessThanOrEqual(bytes);
    state.close();
    expect(readdirSync(directory).sort()).toEqual(['journal.sqlite', 'journal.sqlite.reserve']);
  });

  test('is locked by one process at a time', () => {
    const first = sqlite();
    first.nextSequence();
    expect(sqlite).toThrow(/locked/);
    first.close();
  });

  test('throws an error after it is closed', () => {
    const state = sqlite();
    state.close();
    expect(() => state.receive(command('a'), changing)).toThrow(StateUnavailableError);
  });
});

describe('a journal with a failing operation', () => {
  test('is unchanged by the failed operation', () => {
    const inner = createMemoryState(clock);
    const state = createFailingState(inner, (operation) => failing(operation));
    state.receive(command('a'), changing);
    failing = () => true;
    expect(() => state.receive(command('b'), changing)).toThrow(StateUnavailableError);
    expect(() => state.answer('a', succeeded('a'))).toThrow(StateUnavailableError);
    expect(() => state.update(one.id, { desired: 'Running' })).toThrow(StateUnavailableError);
    expect(inner.command('b')).toBeNull();
    expect(inner.command('a')?.state).toBe('received');
    expect(inner.container(one.id)?.desired).toBe('Absent');
  });
});
