import { randomBytes } from 'node:crypto';
import { createServer, type Socket } from 'node:net';
import { duplexPair } from 'node:stream';
import { afterEach, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { type Clock, systemClock } from '../../../agent/clock.ts';
import {
  encodeFrame,
  FLAG_MORE,
  FRAME,
  FrameDecoder,
  MAX_PAYLOAD,
  NONCE_BYTES,
  STREAM_WINDOW,
} from '../../../agent/runtimes/linux/channel/frames.ts';
import {
  ANSWER_TIMEOUT_MS,
  GuestChannel,
  LONG_ANSWER_TIMEOUT_MS,
} from '../../../agent/runtimes/linux/channel/guest-channel.ts';
import { ManualClock } from '../../helpers/manual-clock.ts';

const deps = { clock: systemClock, randomBytes };
const open: GuestChannel[] = [];
afterEach(() => {
  for (const channel of open.splice(0)) channel.close();
});

/** A channel to a guest that greets and then sends the test's frames. */
const connect = async (clock: Clock = systemClock) => {
  const [mine, guest] = duplexPair();
  const decoder = new FrameDecoder();
  const received: { type: number; stream: number; payload: Buffer }[] = [];
  guest.on('data', (piece: Buffer) => {
    for (const frame of decoder.push(piece)) {
      received.push({ ...frame, payload: Buffer.from(frame.payload) });
      if (frame.type === FRAME.connect)
        guest.write(encodeFrame(FRAME.hello, 0, Buffer.concat([frame.payload, Buffer.from('main=0\0')])));
    }
  });
  const { channel, greeting } = await GuestChannel.open(
    mine,
    { ...deps, clock },
    { timeoutMs: 5_000, isReconnect: false },
  );
  open.push(channel);
  return { channel, guest, received, greeting };
};
const settle = () => new Promise((resolve) => setImmediate(resolve));
const pid = Buffer.from([9, 0, 0, 0]);

describe('a channel to a guest', () => {
  test('reads the greeting and gets an answer in parts', async () => {
    const { channel, guest, received, greeting } = await connect();
    expect(greeting.main).toBe('never-started');
    const answer = channel.request('uname');
    await settle();
    const id = received.at(-1)?.stream ?? 0;
    guest.write(encodeFrame(FRAME.response, id, Buffer.concat([Buffer.alloc(4), Buffer.from('6.')]), 1));
    guest.write(encodeFrame(FRAME.response, id, Buffer.concat([Buffer.alloc(4), Buffer.from('1')])));
    expect(await answer).toEqual({ result: 0, data: Buffer.from('6.1') });
  });

  test('output without a handler is kept, and credit is granted as it is consumed', async () => {
    const { channel, guest, received } = await connect();
    const process = channel.startProcess([['arg', 'true']]);
    guest.write(encodeFrame(FRAME.started, process.stream, pid));
    for (let sent = 0; sent < STREAM_WINDOW; sent += MAX_PAYLOAD)
      guest.write(encodeFrame(FRAME.stdout, process.stream, Buffer.alloc(MAX_PAYLOAD)));
    expect(await process.started).toBe(9);
    let bytes = 0;
    process.onOutput((_, data) => {
      bytes += data.length;
      process.consumed(data.length);
    });
    await settle();
    expect(bytes).toBe(STREAM_WINDOW);
    const granted = received
      .filter(({ type }) => type === FRAME.credit)
      .map(({ payload }) => payload.readUInt32LE(0));
    expect(granted.reduce((sum, one) => sum + one, 0)).toBe(STREAM_WINDOW);
  });

  test('a guest that exceeds the window is disconnected', async () => {
    const { channel, guest } = await connect();
    const process = channel.startProcess([['arg', 'yes']]);
    guest.on('error', () => {});
    for (let sent = 0; sent <= STREAM_WINDOW; sent += MAX_PAYLOAD)
      guest.write(encodeFrame(FRAME.stdout, process.stream, Buffer.alloc(MAX_PAYLOAD)));
    expect((await channel.closed).message).toMatch(/more output/);
    await expect(process.exited).rejects.toThrow(/more output/);
  });

  test.each([FRAME.stdout, FRAME.stderr])(
    'an empty output frame (type %d) closes the connection',
    async (type) => {
      const { channel, guest } = await connect();
      const process = channel.startProcess([['arg', 'true']]);
      guest.on('error', () => {});
      let frames = 0;
      process.onOutput(() => {
        frames += 1;
      });
      for (let sent = 0; sent < 1_000; sent++) guest.write(encodeFrame(type, process.stream));
      // Sent last, so a channel that is still open has accepted all frames.
      guest.write(encodeFrame(FRAME.exited, process.stream, Buffer.alloc(8)));
      await expect(process.exited).rejects.toThrow(/an empty output frame/);
      expect((await channel.closed).message).toMatch(/an empty output frame/);
      expect(frames).toBe(0);
    },
  );

  test.each([
    ['a second greeting', FRAME.hello, 0, Buffer.alloc(NONCE_BYTES), /second HELLO/],
    ['a second start', FRAME.started, 2, pid, /second start/],
    ['a grant of zero bytes', FRAME.credit, 2, Buffer.alloc(4), /zero bytes of credit/],
  ])(
    '%s closes the connection, because a flood of them would use the agent’s time',
    async (_, type, stream, payload, why) => {
      const { channel, guest } = await connect();
      const process = channel.startProcess([['arg', 'true']]);
      expect(process.stream).toBe(2);
      guest.on('error', () => {});
      guest.write(encodeFrame(FRAME.started, process.stream, pid));
      expect(await process.started).toBe(9);
      guest.write(encodeFrame(type, stream, payload));
      expect((await channel.closed).message).toMatch(why);
    },
  );

  test('an answer in too many parts closes the connection, because each part takes memory', async () => {
    const { channel, guest } = await connect();
    const answered = channel.request('processes');
    guest.on('error', () => {});
    // Each part has a result and no data.
    for (let sent = 0; sent < 100; sent++)
      guest.write(encodeFrame(FRAME.response, 1, Buffer.alloc(4), FLAG_MORE));
    await expect(answered).rejects.toThrow('too long');
    expect((await channel.closed).message).toMatch(/too long/);
  });

  test('frames of one byte that arrive together are passed on in few pieces, each stream in its order', async () => {
    const { channel, guest } = await connect();
    const process = channel.startProcess([['arg', 'true']]);
    const calls: string[] = [];
    const text = { stdout: '', stderr: '' };
    process.onOutput((stream, data) => {
      calls.push(stream);
      text[stream] += data.toString();
    });
    const frames = Array.from({ length: 20_000 }, (_, index) =>
      encodeFrame(
        index % 2 === 0 ? FRAME.stdout : FRAME.stderr,
        process.stream,
        Buffer.from(String.fromCharCode(97 + (index % 26))),
      ),
    );
    const exited = encodeFrame(FRAME.exited, process.stream, Buffer.alloc(8));
    guest.write(Buffer.concat([encodeFrame(FRAME.started, process.stream, pid), ...frames, exited]));
    await process.exited;
    expect(calls.length).toBeLessThan(80);
    expect(calls.slice(0, 4)).toEqual(['stdout', 'stderr', 'stdout', 'stderr']);
    for (const [stream, first] of [
      ['stdout', 0],
      ['stderr', 1],
    ] as const)
      expect(text[stream]).toBe(
        Array.from({ length: 10_000 }, (_, index) =>
          String.fromCharCode(97 + ((2 * index + first) % 26)),
        ).join(''),
      );
  });

  test('a guest that answers no request is disconnected, and all pending requests fail', async () => {
    const clock = new ManualClock();
    const { channel } = await connect(clock);
    const requests = [channel.request('processes'), channel.request('uptime')];
    const { started, exited } = channel.startProcess([['arg', 'sleep']]);
    const outcomes = Promise.allSettled([...requests, started, exited]);
    await clock.pass(ANSWER_TIMEOUT_MS);
    expect((await outcomes).map(({ status }) => status)).toEqual(Array(4).fill('rejected'));
    expect((await channel.closed).message).toMatch(/did not answer the request processes within 30 s/);
    await expect(channel.request('processes')).rejects.toThrow(/did not answer/);
  });

  test.each(['startMain', 'startProcess'] as const)(
    'a guest that never starts the process is disconnected: %s',
    async (start) => {
      const clock = new ManualClock();
      const { channel } = await connect(clock);
      const { started } = channel[start]([['arg', 'sleep']]);
      const failed = expect(started).rejects.toThrow(/did not start a process/);
      await clock.pass(LONG_ANSWER_TIMEOUT_MS);
      await failed;
      expect((await channel.closed).message).toMatch(/did not start a process/);
    },
  );

  test('a guest that answers in time stays connected, even if an earlier request is slow', async () => {
    const clock = new ManualClock();
    const { channel, guest, received } = await connect(clock);
    const answer = (): void => {
      const { stream } = received.filter(({ type }) => type === FRAME.request)[answered++] ?? { stream: 0 };
      guest.write(encodeFrame(FRAME.response, stream, Buffer.alloc(4)));
    };
    let answered = 0;
    const mounted = channel.request('mount-layers', [], LONG_ANSWER_TIMEOUT_MS);
    // The guest handles requests one at a time.
    const listed = channel.request('processes');
    const { started, stream } = channel.startProcess([['arg', 'sleep']]);
    await clock.pass(LONG_ANSWER_TIMEOUT_MS - 1);
    answer();
    answer();
    guest.write(encodeFrame(FRAME.started, stream, pid));
    expect(await Promise.all([mounted, listed, started])).toMatchObject([{ result: 0 }, { result: 0 }, 9]);
    await clock.pass(10 * LONG_ANSWER_TIMEOUT_MS);
    const later = channel.request('uname');
    await settle();
    answer();
    expect(await later).toMatchObject({ result: 0 });
  });

  test('a guest that never reads is disconnected at a limit', async () => {
    const server = createServer();
    const guests: Socket[] = [];
    server.on('connection', (socket) => {
      guests.push(socket);
      // Reads the connect frame, answers it, and then reads nothing.
      socket.once('data', (piece: Buffer) => {
        socket.write(encodeFrame(FRAME.hello, 0, piece.subarray(8, 8 + NONCE_BYTES)));
        socket.pause();
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { createConnection } = await import('node:net');
    const { port } = server.address() as { port: number };
    const { channel } = await GuestChannel.open(createConnection(port, '127.0.0.1'), deps, {
      timeoutMs: 5_000,
      isReconnect: false,
    });
    const process = channel.startProcess([['arg', 'cat']]);
    let ended = false;
    void channel.closed.then(() => {
      ended = true;
    });
    for (let calls = 0; !ended && calls < 1_000_000; calls++) {
      process.resize(80, 24);
      if (calls % 10_000 === 0) await settle();
    }
    expect((await channel.closed).message).toMatch(/does not read/);
    for (const guest of guests) guest.destroy();
    server.close();
  });

  test('input beyond the guest’s credit waits up to a limit', async () => {
    const { channel, received } = await connect();
    const process = channel.startProcess([['arg', 'cat']]);
    let taken = 0;
    while (process.write(Buffer.alloc(MAX_PAYLOAD))) taken++;
    await settle();
    const sent = received
      .filter(({ type }) => type === FRAME.stdin)
      .reduce((sum, { payload }) => sum + payload.length, 0);
    expect(sent).toBe(64 * 1024);
    expect(taken * MAX_PAYLOAD).toBeLessThan(2 * 1024 * 1024);
  });

  test('each of 100,000 hostile frames is accepted, ignored or closes the connection, without effect on another guest', async () => {
    const neighbour = await connect();
    const header = fc.tuple(
      fc.integer({ min: 0, max: 30 }),
      fc.integer({ min: 0, max: 3 }),
      fc.integer({ min: 0, max: 70 }),
    );
    const hostile = fc.array(fc.tuple(header, fc.uint8Array({ maxLength: 24 })), {
      minLength: 100,
      maxLength: 100,
    });
    let frames = 0;
    let closed = 0;
    await fc.assert(
      fc.asyncProperty(hostile, async (batch) => {
        const { channel, guest } = await connect();
        guest.on('error', () => {});
        const process = channel.startProcess([['arg', 'true']]);
        const answer = channel.request('uname').catch(() => null);
        process.onOutput((_, data) => process.consumed(data.length));
        for (const [[type, flags, stream], payload] of batch) {
          guest.write(encodeFrame(type, stream, payload, flags));
          frames++;
        }
        await settle();
        let ended = false;
        void channel.closed.then(() => {
          ended = true;
        });
        await settle();
        if (ended) closed++;
        channel.close();
        await answer;
        open.splice(open.indexOf(channel), 1);
      }),
      { numRuns: 1_000 },
    );
    expect(frames).toBeGreaterThanOrEqual(100_000);
    expect(closed).toBeGreaterThan(0);
    const answer = neighbour.channel.request('uname');
    await settle();
    neighbour.guest.write(
      encodeFrame(FRAME.response, neighbour.received.at(-1)?.stream ?? 0, Buffer.alloc(4)),
    );
    expect(await answer).toMatchObject({ result: 0 });
  });

  test('a command that does not fit into a frame is refused, and the channel stays open', async () => {
    const { channel } = await connect();
    const process = channel.startProcess([['arg', 'x'.repeat(MAX_PAYLOAD)]]);
    await expect(process.started).rejects.toThrow(/at most/);
    expect(channel.startProcess([['arg', 'true']]).stream).toBe(process.stream);
  });
});
