import { beforeEach, describe, expect, test } from '@jest/globals';
import type { SessionProcess } from '../../../agent/runtimes/session-process.ts';
import { HostSession } from '../../../agent/sessions/host-session.ts';
import {
  type ClientFrame,
  type HostFrame,
  type HostSessionMessage,
  SESSION_LIMITS,
} from '../../../core/contract/session.ts';
import { SessionWindow } from '../../../core/session/session-window.ts';
import { ManualClock } from '../../helpers/manual-clock.ts';

const SESSION = 'aaaaaaaa-0000-4000-8000-000000000001';
const CONTAINER = 'bbbbbbbb-0000-4000-8000-000000000001';

/** A scripted process that records the calls. */
class ScriptedProcess implements SessionProcess {
  readonly exit = Promise.withResolvers<number>();
  readonly exited = this.exit.promise;
  readonly done: string[] = [];
  write_: (stream: 'stdout' | 'stderr', data: Buffer) => void = () => undefined;
  consumedBytes = 0;
  taken: (bytes: number) => void = () => undefined;
  onOutput(handler: (stream: 'stdout' | 'stderr', data: Buffer) => void): void {
    this.write_ = handler;
  }
  consumed(bytes: number): void {
    this.consumedBytes += bytes;
  }
  write(data: Buffer): void {
    this.done.push(`input ${data.toString()}`);
    this.taken(data.length);
  }
  onInputTaken(listener: (bytes: number) => void): void {
    this.taken = listener;
  }
  endInput(): void {
    this.done.push('endInput');
  }
  resize(columns: number, rows: number): void {
    this.done.push(`resize ${columns}x${rows}`);
  }
  signal(signal: number): void {
    this.done.push(`signal ${signal}`);
  }
  end(): void {
    this.done.push('end');
  }
}

let clock: ManualClock;
let process: ScriptedProcess;
let session: HostSession;
let sent: HostSessionMessage[];
let over: boolean;
let got: HostFrame[];
let client: SessionWindow<ClientFrame, HostFrame>;
let attached: boolean;

beforeEach(() => {
  clock = new ManualClock();
  process = new ScriptedProcess();
  sent = [];
  got = [];
  over = false;
  attached = false;
  session = new HostSession(
    { sessionId: SESSION, containerId: CONTAINER, idleSeconds: 300, totalSeconds: 3600, attached: false },
    process,
    {
      clock,
      send: (message) => {
        sent.push(message);
        if (attached && message.kind !== 'ended') client.receive(message);
      },
      onOver: () => {
        over = true;
      },
    },
  );
  client = new SessionWindow<ClientFrame, HostFrame>({
    timers: { now: () => clock.monotonicMs(), after: (ms, callback) => clock.after(ms, callback) },
    send: (message) => session.receive({ action: 'session', sessionId: SESSION, ...message }),
    bytesOf: (frame) => (frame.type === 'output' ? Buffer.byteLength(frame.data, 'base64') : 0),
    deliver: (frame) => {
      got.push(frame);
      if (frame.type === 'output') client.consumed(Buffer.byteLength(frame.data, 'base64'));
    },
    onViolation: () => undefined,
  });
});

const join = () => {
  attached = true;
  client.connected();
};
const detach = () => {
  attached = false;
  client.disconnected();
  session.receive({ action: 'session', sessionId: SESSION, kind: 'detached' });
};
const exits = () => got.filter((frame) => frame.type === 'exit');

test('passes on input, its end, the window size and signals', () => {
  join();
  client.put({ type: 'input', data: Buffer.from('hello').toString('base64') }, 5);
  client.put({ type: 'endInput' });
  client.putUrgent({ type: 'resize', columns: 80, rows: 24 });
  client.putUrgent({ type: 'signal', name: 'INT' });
  expect(process.done).toEqual(['input hello', 'endInput', 'resize 80x24', 'signal 2']);
});

test('delivers output from before the client connected, then the exit, and is then over', async () => {
  process.write_('stdout', Buffer.from('early'));
  expect([sent, process.consumedBytes]).toEqual([[], 0]);
  join();
  expect(process.consumedBytes).toBe(5);
  process.exit.resolve(7);
  await clock.pass(1_000);
  expect(got.map((frame) => frame.type)).toEqual(['output', 'exit']);
  expect(exits()).toEqual([{ type: 'exit', exitCode: 7, reason: 'exited' }]);
  expect(over).toBe(true);
  expect(process.done).toEqual([]);
});

test('a process whose container has ended ends the session with that reason', async () => {
  join();
  process.exit.reject(new TypeError('the VM is gone'));
  await clock.pass(1_000);
  expect(exits()).toEqual([{ type: 'exit', exitCode: null, reason: 'container-stopped' }]);
});

test('a client that reads nothing blocks the process’s output, but the exit is still sent', async () => {
  join();
  client.receive = () => undefined;
  const piece = Buffer.alloc(SESSION_LIMITS.dataBytes);
  let given = 0;
  for (let count = 0; count < 40; count += 1) {
    process.write_('stdout', piece);
    given += piece.length;
  }
  expect(process.consumedBytes).toBeLessThanOrEqual(SESSION_LIMITS.windowBytes);
  session.end('revoked');
  // Released, so that the process can end.
  expect(process.consumedBytes).toBe(given);
  expect(sent.at(-1)).toMatchObject({ kind: 'frame', frame: { type: 'exit', reason: 'revoked' } });
});

test('waiting single bytes are merged, in the order of each stream', () => {
  const wanted = { stdout: '', stderr: '' };
  for (let count = 0; count < 100_000; count += 1) {
    const stream = count % 2 === 0 ? 'stdout' : 'stderr';
    const byte = String.fromCharCode(97 + (count % 26));
    wanted[stream] += byte;
    process.write_(stream, Buffer.from(byte));
  }
  join();
  const text = (stream: 'stdout' | 'stderr') =>
    got
      .map((frame) =>
        frame.type === 'output' && frame.stream === stream ? Buffer.from(frame.data, 'base64') : '',
      )
      .join('');
  expect(text('stdout')).toBe(wanted.stdout);
  expect(text('stderr')).toBe(wanted.stderr);
  expect(got.length).toBeLessThan(80);
  expect(process.consumedBytes).toBe(100_000);
});

test('a few pieces of both streams keep their order', () => {
  for (const stream of ['stdout', 'stderr', 'stdout'] as const) process.write_(stream, Buffer.from(stream));
  join();
  expect(got.map((frame) => frame.type === 'output' && frame.stream)).toEqual(['stdout', 'stderr', 'stdout']);
});

describe('a session ends by itself', () => {
  test('when it is idle for too long, even if the client is connected', async () => {
    join();
    for (let minute = 0; minute < 6; minute += 1) {
      await clock.pass(60_000);
      client.probe();
    }
    expect(exits()).toEqual([{ type: 'exit', exitCode: null, reason: 'idle' }]);
    expect(process.done).toEqual(['end']);
  });

  test('when its total time is over, even if it is active', async () => {
    join();
    for (let minute = 0; minute <= 61; minute += 1) {
      process.write_('stdout', Buffer.from('.'));
      await clock.pass(60_000);
      client.probe();
    }
    expect(exits()).toEqual([{ type: 'exit', exitCode: null, reason: 'time-limit' }]);
  });

  test('when its client does not connect or reconnect, and the control plane is notified', async () => {
    await clock.pass(SESSION_LIMITS.resumeSeconds * 1_000 + 2_000);
    expect(process.done).toEqual(['end']);
    expect(sent[0]).toMatchObject({ kind: 'ended', reason: 'client-gone' });
    await clock.pass(5_000);
    expect(over).toBe(true);
  });

  test('but not if a client reconnects in time', async () => {
    join();
    process.write_('stdout', Buffer.from('one'));
    detach();
    process.write_('stdout', Buffer.from('two'));
    await clock.pass(30_000);
    join();
    await clock.pass(1_000);
    const text = got.flatMap((frame) =>
      frame.type === 'output' ? Buffer.from(frame.data, 'base64').toString() : [],
    );
    expect(text.join('')).toBe('onetwo');
    expect(over).toBe(false);
  });

  test('but not if the message about a disconnect arrives after the reconnect, because the client answers a probe', async () => {
    join();
    session.receive({ action: 'session', sessionId: SESSION, kind: 'detached' });
    process.write_('stdout', Buffer.from('after'));
    expect(got).toEqual([]);
    await clock.pass(2_000);
    expect(got).toHaveLength(1);
    await clock.pass(90_000);
    client.probe();
    expect(process.done).toEqual([]);
  });
});

test('a client that violates the protocol is disconnected without effect on others', async () => {
  join();
  process.taken = () => undefined;
  process.write = () => undefined;
  const data = Buffer.alloc(SESSION_LIMITS.dataBytes).toString('base64');
  for (let sequence = 1; sequence < 20; sequence += 1)
    session.receive({
      action: 'session',
      sessionId: SESSION,
      kind: 'frame',
      sequence,
      ack: 0,
      limit: 0,
      frame: { type: 'input', data },
    });
  expect(exits()).toEqual([{ type: 'exit', exitCode: null, reason: 'protocol-error' }]);
});

// As in docker: https://github.com/moby/moby/issues/9098, and with the detach keys.
test('the process continues when the client keeps it, and counts as a session until it exits', async () => {
  join();
  client.putLast({ type: 'close', keep: true });
  await clock.pass(1_000);
  expect(process.done).toEqual([]);
  expect(exits()).toEqual([{ type: 'exit', exitCode: null, reason: 'closed' }]);
  const before = process.consumedBytes;
  process.write_('stdout', Buffer.from('more'));
  expect(process.consumedBytes).toBe(before + 4);
  await clock.pass(SESSION_LIMITS.resumeSeconds * 2_000);
  expect(process.done).toEqual([]);
  expect(over).toBe(false);
  process.exit.resolve(0);
  await clock.pass(1);
  expect(over).toBe(true);
});

test('the process ends when the client closes the session', async () => {
  join();
  client.putLast({ type: 'close' });
  await clock.pass(1_000);
  expect(process.done).toEqual(['end']);
  expect(exits()).toEqual([{ type: 'exit', exitCode: null, reason: 'closed' }]);
});
