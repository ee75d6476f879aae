import { expect, jest, test } from '@jest/globals';
import type { Bridge } from '../../../../cli/docker/bridge.ts';
import { showLog } from '../../../../cli/docker/show-log.ts';
import { showSession } from '../../../../cli/docker/show-session.ts';
import type { ClientStream } from '../../../../cli/docker/streams.ts';
import type { SessionStream } from '../../../../cli/session.ts';

const never = new Promise<never>(() => undefined);

/** A container that has written two lines and ended. */
const ended = (): Bridge => {
  const items = ['ran', 'well'].map((text) => ({ stream: 'stdout', text, at: '2026-01-01T00:00:00.000Z' }));
  return {
    settings: { log: () => undefined },
    now: 0,
    find: async () => ({ state: 'Off', activeOperationId: null, exitCode: 0, revision: 7, lastError: null }),
    client: { call: async () => ({ items: items.splice(0), nextCursor: 'end', truncated: false }) },
  } as unknown as Bridge;
};

const client = () => {
  const seen: string[] = [];
  const take = (_: string, bytes: Uint8Array): void => void seen.push(Buffer.from(bytes).toString());
  const stream = {
    closed: never,
    ignoreInput: () => undefined,
    onDrain: () => undefined,
    output: (name: string, bytes: Uint8Array) => {
      take(name, bytes);
      return true;
    },
    send: async (name: string, bytes: Uint8Array) => take(name, bytes),
  };
  return { seen, stream: stream as unknown as ClientStream };
};

/** A session that has sent `text`. It ends when it is closed, or by `end`. */
const sessionSaying = (text: string) => {
  const exit = Promise.withResolvers<{ exitCode: number | null; reason: string }>();
  const session = {
    exit: exit.promise,
    onOutput: (listener: (stream: string, bytes: Uint8Array) => void) =>
      listener('stdout', Buffer.from(text)),
    resume: () => undefined,
    close: () => exit.resolve({ exitCode: null, reason: 'closed' }),
  };
  return { session: session as unknown as SessionStream, exit };
};

const attached = { stdin: false, stdout: true, stderr: true };
const shown = (stream: ClientStream) => ({ containerId: 'one', client: stream, attached, cursor: undefined });
const nothingSeen = () => ({ stdout: 0, stderr: 0 });

test('without a session the log is shown until the container has ended', async () => {
  const { seen, stream } = client();
  await showLog(ended(), shown(stream), nothingSeen());
  expect(seen).toEqual(['ran\n', 'well\n']);
});

test('output that a broken session has sent is not sent again', async () => {
  const { seen, stream } = client();
  const already = nothingSeen();
  const { session, exit } = sessionSaying('ran\nwe');
  exit.resolve({ exitCode: null, reason: 'unknown-session' });
  expect(await showSession(ended(), shown(stream), session, already)).toMatchObject({ isWhole: false });
  await showLog(ended(), shown(stream), already);
  expect(seen).toEqual(['ran\nwe', 'll\n']);
});

test('a session with an exit is complete', async () => {
  const { stream } = client();
  const { session, exit } = sessionSaying('ran\n');
  exit.resolve({ exitCode: 3, reason: 'exited' });
  expect(await showSession(ended(), shown(stream), session, nothingSeen())).toMatchObject({ isWhole: true });
});

test('a session that gets no exit is closed after the container has ended', async () => {
  jest.useFakeTimers();
  try {
    const { stream } = client();
    const { session } = sessionSaying('ran\n');
    const over = showSession(ended(), shown(stream), session, nothingSeen());
    await jest.advanceTimersByTimeAsync(9_900);
    const early = await Promise.race([over, Promise.resolve('still there')]);
    expect(early).toBe('still there');
    await jest.advanceTimersByTimeAsync(200);
    expect(await over).toMatchObject({ isWhole: false });
  } finally {
    jest.useRealTimers();
  }
});

test('a failed request for the container does not end an open session', async () => {
  jest.useFakeTimers();
  try {
    const { stream } = client();
    const { session, exit } = sessionSaying('ran\n');
    const unreachable = { ...ended(), find: async () => Promise.reject(new TypeError('fetch failed')) };
    const over = showSession(unreachable as unknown as Bridge, shown(stream), session, nothingSeen());
    await jest.advanceTimersByTimeAsync(60_000);
    exit.resolve({ exitCode: 0, reason: 'exited' });
    expect(await over).toMatchObject({ isWhole: true });
  } finally {
    jest.useRealTimers();
  }
});
