import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { systemClock as clock } from '../../../agent/clock.ts';
import { createLog } from '../../../agent/log.ts';
import { LateMain } from '../../../agent/sessions/late-main.ts';
import { Sessions } from '../../../agent/sessions/sessions.ts';
import type { AgentState } from '../../../agent/state/agent-state.ts';
import { createMemoryState } from '../../../agent/state/memory-state.ts';
import type { AssignedContainer } from '../../../core/contract/agent/commands.ts';
import type { HostFrame, HostSessionMessage } from '../../../core/contract/session.ts';
import { container } from '../../helpers/assigned-container.ts';
import { bring, until } from '../../helpers/linux-host.ts';
import { simulatedHost } from '../../helpers/simulated-host.ts';

/** A session that is opened before its container is started, as docker attaches before it starts. */
const SESSION = 'aaaaaaaa-0000-4000-8000-000000000001';
const signal = new AbortController().signal;

let state: AgentState;
let host: ReturnType<typeof simulatedHost>;
let sessions: Sessions;
let sent: HostSessionMessage[];

beforeEach(() => {
  state = createMemoryState(clock);
  host = simulatedHost('linux', clock, { min: 0, max: 0 });
  sent = [];
  const log = createLog({ level: 'error', forPeople: false, clock, write: () => undefined });
  sessions = new Sessions({
    state,
    runtime: host.runtime,
    clock,
    log,
    send: (message) => sent.push(message),
  });
});

afterEach(() => {
  sessions.close();
  host.runtime.close();
});

const prepare = async (command: string[]): Promise<AssignedContainer> => {
  const one = container({ switchName: 'none', command });
  await bring(host.runtime, one.id, one, 'Off');
  state.update(one.id, { container: one, appliedEpoch: 1 });
  return one;
};

const open = ({ id }: AssignedContainer, more: object = {}) =>
  sessions.answer(
    { containerId: id, epoch: 1 },
    {
      ...{ verb: 'openSession', sessionId: SESSION, idleSeconds: 60, totalSeconds: 600 },
      ...{ attach: true, awaitStart: true, ...more },
    },
    signal,
  );

const start = async (one: AssignedContainer): Promise<void> => {
  await bring(host.runtime, one.id, one, 'Running');
  state.update(one.id, { appliedEpoch: 2 });
};

const hasEnded = (one: AssignedContainer): Promise<void> =>
  until(async () => (await host.runtime.inspect(one.id))[0]?.process?.running === false);

const frames = (): HostFrame[] =>
  sent.flatMap((message) => (message.kind === 'frame' ? [message.frame] : []));
const output = (): string =>
  frames()
    .map((frame) => (frame.type === 'output' ? Buffer.from(frame.data, 'base64').toString() : ''))
    .join('');
/** The client connects, and accepts everything until the condition is true. */
const receive = (isDone: () => boolean): Promise<void> =>
  until(() => {
    const accepted = { kind: 'ack', ack: frames().length, limit: 1_000_000 } as const;
    sessions.receive({ action: 'session', sessionId: SESSION, ...accepted });
    return isDone();
  });
const exit = () => frames().find(({ type }) => type === 'exit');

describe('a session that awaits the start', () => {
  test('delivers the output and the exit of the process that is started later', async () => {
    const one = await prepare(['sh', '-c', 'echo one; exit 3']);
    await open(one);
    await start(one);
    expect(frames()).toEqual([]);
    sessions.mainStarted(one.id);
    await receive(() => exit() !== undefined);
    expect(output()).toBe('one\n');
    expect(frames().at(-1)).toMatchObject({ type: 'exit', exitCode: 3, reason: 'exited' });
  });

  test('delivers the output and the exit of a process that has ended before it could be joined', async () => {
    const one = await prepare(['sh', '-c', 'echo quick; exit 4']);
    await open(one);
    await start(one);
    await hasEnded(one);
    sessions.mainStarted(one.id);
    await receive(() => exit() !== undefined);
    expect(output()).toBe('quick\n');
    expect(frames().at(-1)).toMatchObject({ type: 'exit', exitCode: 4 });
  });

  test('that arrives after the start it was opened for gets that run, even if it has ended', async () => {
    const one = await prepare(['sh', '-c', 'echo early; exit 5']);
    await start(one);
    sessions.mainStarted(one.id);
    await hasEnded(one);
    await open(one);
    await receive(() => exit() !== undefined);
    expect(output()).toBe('early\n');
    expect(frames().at(-1)).toMatchObject({ type: 'exit', exitCode: 5 });
  });

  test('keeps the input until the start', async () => {
    const one = await prepare(['cat']);
    await open(one);
    const data = Buffer.from('typed early').toString('base64');
    const input = { sequence: 1, ack: 0, limit: 1e6, frame: { type: 'input', data } } as const;
    sessions.receive({ action: 'session', sessionId: SESSION, kind: 'frame', ...input });
    await start(one);
    sessions.mainStarted(one.id);
    await receive(() => output() === 'typed early');
  });

  test('ends when the container is removed', async () => {
    const one = await prepare(['cat']);
    await open(one);
    sessions.removed(one.id);
    await receive(() => exit() !== undefined);
    expect(frames()).toEqual([{ type: 'exit', exitCode: null, reason: 'container-stopped' }]);
  });

  test('of a client that is gone does not join the started process', async () => {
    const one = await prepare(['cat']);
    await open(one);
    await sessions.answer(
      { containerId: one.id, epoch: 1 },
      { verb: 'closeSession', sessionId: SESSION, reason: 'closed' },
      signal,
    );
    await start(one);
    sessions.mainStarted(one.id);
    await receive(() => exit() !== undefined);
    expect(frames()).toEqual([{ type: 'exit', exitCode: null, reason: 'closed' }]);
  });

  test('of a container that is not on the host is refused', async () => {
    await expect(open(container({}))).rejects.toMatchObject({ code: 'invalid-state' });
  });
});

test('a main process that starts after its client has gone is released', () => {
  const late = new LateMain(() => undefined);
  const calls: string[] = [];
  late.end();
  late.begin({ end: () => calls.push('end'), exited: new Promise(() => undefined) } as never);
  expect(calls).toEqual(['end']);
});
