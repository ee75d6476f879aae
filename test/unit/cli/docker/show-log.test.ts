import { expect, test } from '@jest/globals';
import type { Bridge } from '../../../../cli/docker/bridge.ts';
import { showLog } from '../../../../cli/docker/show-log.ts';
import type { ClientStream } from '../../../../cli/docker/streams.ts';
import type { SessionStream } from '../../../../cli/session.ts';

const never = new Promise<never>(() => undefined);

/** A container that has ended, having written one line. */
const ended = (): Bridge => {
  const items = [{ stream: 'stdout', text: 'ran', time: '2026-01-01T00:00:00.000Z', partial: false }];
  return {
    settings: { log: () => undefined },
    now: 0,
    find: async () => ({ state: 'Off', activeOperationId: null, exitCode: 0, revision: 7, lastError: null }),
    client: { call: async () => ({ items: items.splice(0), nextCursor: 'end', truncated: false }) },
  } as unknown as Bridge;
};

const client = () => {
  const seen: string[] = [];
  const stream = {
    closed: never,
    ignoreInput: () => undefined,
    pipeInput: () => undefined,
    send: async (_: string, bytes: Uint8Array) => void seen.push(Buffer.from(bytes).toString()),
  };
  return { seen, stream: stream as unknown as ClientStream };
};

const joining = { stdin: false, stdout: true, stderr: true };
const shown = (stream: ClientStream) => ({ containerId: 'one', client: stream, joining, cursor: undefined });

test('a session that never hears of the end does not hold up who attached: the container is looked at', async () => {
  const { seen, stream } = client();
  const deaf = { exit: never, onOutput: () => undefined, close: () => undefined };
  await showLog(ended(), shown(stream), deaf as unknown as SessionStream);
  expect(seen).toEqual(['ran\n']);
});

test('while there is a session, a failure to look at the container ends nothing', async () => {
  const { seen, stream } = client();
  const exit = Promise.withResolvers<{ exitCode: number; reason: string }>();
  const session = { exit: exit.promise, onOutput: () => undefined, close: () => undefined };
  const unreachable = { ...ended(), find: async () => Promise.reject(new TypeError('fetch failed')) };
  let isOver = false;
  const over = showLog(unreachable as unknown as Bridge, shown(stream), session as unknown as SessionStream);
  void over.then(() => {
    isOver = true;
  });
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect([seen, isOver]).toEqual([['ran\n'], false]);
  exit.resolve({ exitCode: 0, reason: 'exited' });
  await over;
});

test('without a session the container is looked at alone', async () => {
  const { seen, stream } = client();
  await showLog(ended(), shown(stream), undefined);
  expect(seen).toEqual(['ran\n']);
});
