import { randomUUID } from 'node:crypto';
import { beforeEach, describe, expect, test } from '@jest/globals';
import { sleep } from '../../../agent/clock.ts';
import { type CommandHandler, createCommandHandler } from '../../../agent/execute/command-handler.ts';
import { ExclusiveRunner } from '../../../agent/execute/exclusive-runner.ts';
import { createLog } from '../../../agent/log.ts';
import type { AgentState } from '../../../agent/state/agent-state.ts';
import { createFailingState, type StateOperation } from '../../../agent/state/failing-state.ts';
import { createMemoryState } from '../../../agent/state/memory-state.ts';
import type { Command, CommandArguments } from '../../../core/contract/agent/commands.ts';
import type { Process } from '../../../core/contract/compute-process.ts';
import { container } from '../../helpers/assigned-container.ts';
import { ManualClock } from '../../helpers/manual-clock.ts';
import { simulatedHost } from '../../helpers/simulated-host.ts';

const HOST = 'aaaaaaaa-0000-4000-8000-000000000001';

let clock: ManualClock;
let state: AgentState;
let fails: (operation: StateOperation) => boolean;
let host: ReturnType<typeof simulatedHost>;
let answered: string[];
let logged: string[];
let ended: string[];
let handler: CommandHandler;
let reports: string[][];

const makeHandler = (): CommandHandler =>
  createCommandHandler({
    state,
    runtime: host.runtime,
    runner: new ExclusiveRunner(8),
    clock,
    log: createLog({ level: 'debug', forPeople: false, clock, write: (line) => void logged.push(line) }),
    resultBytes: 100_000,
    onAnswered: (id) => void answered.push(id),
    onProgress: (_id, steps) => void reports.push(steps.map(({ name }) => name)),
    onSettled: () => undefined,
    onImagesChanged: () => undefined,
    sessions: {
      answer: async () => ({}),
      endOf: (containerId) => void ended.push(containerId),
      removed: () => undefined,
    },
  });

beforeEach(() => {
  clock = new ManualClock();
  fails = () => false;
  state = createFailingState(createMemoryState(clock), (operation) => fails(operation));
  host = simulatedHost('linux', clock, { min: 100, max: 100 });
  answered = [];
  logged = [];
  reports = [];
  ended = [];
  handler = makeHandler();
});

const VALID = { nowMs: 0, expiresAtMs: 60_000 };
const one = container({ command: ['sleep', '600'] });
const give = (args: CommandArguments, extra: Partial<Command> = {}): string => {
  const id = extra.id ?? randomUUID();
  const command = { id, hostId: HOST, containerId: one.id, epoch: 1, ttlSeconds: 60, arguments: args };
  handler.receive({ ...command, ...extra }, VALID);
  return id;
};
const start: CommandArguments = { verb: 'startContainer', container: one };
const resultOf = (id: string) => state.command(id)?.result;

describe('the command handler', () => {
  test('executes a command until it is answered, and resends the answer to a repeated command', async () => {
    const id = give(start);
    expect(handler.inProgress()).toEqual([id]);
    await clock.pass(10_000);
    expect(handler.inProgress()).toEqual([]);
    expect(resultOf(id)).toMatchObject({ status: 'succeeded', observed: { phase: 'Running' } });
    state.acknowledge(id);
    give(start, { id });
    expect(answered).toEqual([id, id]);
    expect(state.unacknowledged()).toHaveLength(1);
    expect(host.world.container(one.id)?.runs).toEqual([id]);
  });

  test('reports the steps of a slow command every two seconds if they have changed', async () => {
    host = simulatedHost('linux', clock, { min: 900, max: 900 });
    host.world.addFault('startProcess', 'hang', 1);
    handler = makeHandler();
    give(start);
    await clock.pass(20_000);
    const names = ['CreateWritableLayer', 'CreateNetworkEndpoint', 'MountLayers', 'StartProcess'];
    expect(reports).toEqual([names.slice(0, 3), names]);
  });

  test('runs commands of one container one at a time, and commands of two containers in parallel', async () => {
    const two = container({ command: ['sleep', '600'] });
    const first = give(start);
    const second = give({ verb: 'stopContainer', timeoutSeconds: 5 });
    const other = give({ verb: 'startContainer', container: two }, { containerId: two.id });
    await clock.pass(450);
    expect([first, second, other].map((id) => resultOf(id)?.status)).toEqual([
      'succeeded',
      undefined,
      'succeeded',
    ]);
    await clock.pass(1_000);
    expect(resultOf(second)).toMatchObject({ status: 'succeeded', observed: { phase: 'Off' } });
  });

  test('a command with a newer epoch stops an older command at its next step and then runs', async () => {
    const first = give(start);
    await clock.pass(150);
    const second = give({ verb: 'removeContainer' }, { epoch: 2 });
    await clock.pass(1_000);
    expect(resultOf(first)).toMatchObject({ status: 'failed', error: { code: 'operation-aborted' } });
    expect(resultOf(second)).toMatchObject({ status: 'succeeded', observed: { phase: 'Absent', epoch: 2 } });
    expect(host.world.containers()).toEqual([]);
  });

  test('a query does not wait and does not raise the epoch', async () => {
    give(start);
    const query = give({ verb: 'listHostProcesses' }, { containerId: null, epoch: 99 });
    await clock.pass(0);
    expect(resultOf(query)).toMatchObject({ status: 'succeeded' });
    expect(state.container(one.id)?.newestEpoch).toBe(1);
  });

  test('a container that answers no query delays neither starts, nor stops, nor queries of others', async () => {
    const silent = container({ command: ['sleep', '600'] });
    const { promise: never, resolve: answerAll } = Promise.withResolvers<Process[]>();
    const asked: string[] = [];
    const list = host.runtime.listProcesses.bind(host.runtime);
    host.runtime.listProcesses = (id) => {
      asked.push(id);
      return id === silent.id ? never : list(id);
    };
    const query: CommandArguments = { verb: 'listProcesses' };
    const hung = Array.from({ length: 100 }, () => give(query, { containerId: silent.id }));
    const started = give(start);
    await clock.pass(1_000);
    expect(resultOf(started)).toMatchObject({ status: 'succeeded', observed: { phase: 'Running' } });
    const listed = give(query);
    await clock.pass(1_000);
    expect(resultOf(listed)).toMatchObject({ status: 'succeeded' });
    const stopped = give({ verb: 'stopContainer', timeoutSeconds: 5 });
    await clock.pass(10_000);
    expect(resultOf(stopped)).toMatchObject({ status: 'succeeded', observed: { phase: 'Off' } });
    // The container uses only one slot.
    expect(asked.filter((id) => id === silent.id)).toHaveLength(1);
    answerAll([]);
    await clock.pass(1_000);
    expect(hung.map((id) => resultOf(id)?.status)).toEqual(Array(100).fill('succeeded'));
  });

  test('containers that answer no query use no slot of other commands', async () => {
    const { promise: never, resolve: answerAll } = Promise.withResolvers<Process[]>();
    host.runtime.listProcesses = () => never;
    for (let count = 0; count < 100; count += 1)
      give({ verb: 'listProcesses' }, { containerId: randomUUID() });
    const started = give(start);
    await clock.pass(1_000);
    expect(resultOf(started)).toMatchObject({ status: 'succeeded', observed: { phase: 'Running' } });
    answerAll([]);
    await clock.pass(1_000);
    expect(handler.inProgress()).toEqual([]);
  });

  test('a step that exceeds its time limit is aborted and reported by name', async () => {
    host.world.addFault('mountLayers', 'hang', 1);
    const id = give(start);
    await clock.pass(121_000);
    expect(resultOf(id)).toMatchObject({
      status: 'failed',
      error: { code: 'deadline-exceeded', step: 'MountLayers' },
      observed: { phase: 'Absent' },
    });
  });

  test('a runtime that ignores an abort is reported, and its container stays locked', async () => {
    const { promise: deaf, resolve: end } = Promise.withResolvers<void>();
    host.runtime.mountLayers = () => deaf;
    const id = give(start);
    await clock.pass(120_000 + 10_000 + 1_000);
    expect(resultOf(id)).toMatchObject({ status: 'failed', error: { code: 'deadline-exceeded' } });
    const next = give({ verb: 'removeContainer' }, { epoch: 2 });
    await clock.pass(1_000);
    expect(resultOf(next)).toBeNull();
    end();
    await clock.pass(1_000);
    expect(resultOf(next)).toMatchObject({ status: 'succeeded' });
  });

  test.each<StateOperation>(['receive', 'begin', 'recordSteps', 'answer', 'update'])(
    'if the journal fails at %s, no answer is sent, and the resent command is executed once',
    async (operation) => {
      fails = (at) => at === operation;
      const id = give(start);
      await clock.pass(5_000);
      expect(answered).toEqual([]);
      if (operation !== 'answer') expect(host.world.containers()).toEqual([]);
      expect(logged.join('')).toContain('journal');
      fails = () => false;
      give(start, { id });
      await clock.pass(5_000);
      expect(resultOf(id)).toMatchObject({ status: 'succeeded', observed: { phase: 'Running' } });
      expect(host.world.container(one.id)?.runs).toEqual([id]);
    },
  );

  test('after a restart resumes commands that it had begun, even if they have expired, but not those that waited for too long', async () => {
    const begun = give(start, { ttlSeconds: 1 });
    const waiting = give({ verb: 'stopContainer', timeoutSeconds: 5 }, { ttlSeconds: 1 });
    await clock.pass(0);
    const before = state.command(begun);
    expect(before?.state).toBe('executing');
    // Simulates a restart after a kill: a second instance uses the same journal and machine.
    const journal = createMemoryState(clock);
    for (const record of state.openCommands())
      if (record.command)
        journal.receive(record.command, {
          ...VALID,
          monotonicMs: record.receivedAtMs,
          changesContainer: true,
        });
    journal.begin(begun, { layerExisted: false, runningInstance: null });
    state = journal;
    host = simulatedHost('linux', clock, { min: 100, max: 100 });
    handler = makeHandler();
    await clock.pass(5_000);
    handler.resume();
    await clock.pass(5_000);
    expect(resultOf(begun)).toMatchObject({ status: 'succeeded' });
    expect(resultOf(waiting)).toMatchObject({ status: 'failed', error: { code: 'deadline-exceeded' } });
  });

  test('observations after a command that could not begin have its epoch, which shows that the command was received', async () => {
    host.runtime.createWritableLayer = () => sleep(clock, 1_000);
    give(start);
    await clock.pass(0);
    const late = give({ verb: 'stopContainer', timeoutSeconds: 5 }, { epoch: 4, ttlSeconds: 0 });
    await clock.pass(5_000);
    expect(resultOf(late)).toMatchObject({ error: { code: 'deadline-exceeded' }, observed: { epoch: 4 } });
    const stale = give({ verb: 'removeContainer' }, { epoch: 3 });
    await clock.pass(5_000);
    expect(resultOf(stale)).toMatchObject({ error: { code: 'operation-aborted' }, observed: { epoch: 4 } });
  });

  test('refuses invalid commands without any effect', async () => {
    const other = container();
    const mixed = give({ verb: 'startContainer', container: other });
    const noVm = give({ verb: 'provisionUtilityVm', container: one });
    const noContainer = give(start, { containerId: null });
    await clock.pass(1_000);
    for (const id of [mixed, noVm, noContainer])
      expect(resultOf(id)).toMatchObject({ status: 'failed', error: { code: 'validation-failed' } });
    expect(host.world.containers()).toEqual([]);
  });
});
