import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { SESSION_LIMITS } from '../../../../core/contract/session.ts';
import { SessionWindow, type WindowMessage } from '../../../../core/session/session-window.ts';

interface Frame {
  readonly id: number;
  readonly bytes: number;
}
type Message = WindowMessage<Frame>;

/** A clock that the test advances. */
const manualTimers = () => {
  let now = 0;
  let timers: { at: number; callback: () => void }[] = [];
  return {
    now: () => now,
    after: (milliseconds: number, callback: () => void) => {
      const timer = { at: now + milliseconds, callback };
      timers.push(timer);
      return () => {
        timers = timers.filter((one) => one !== timer);
      };
    },
    pass: (milliseconds: number) => {
      const until = now + milliseconds;
      for (;;) {
        const [next] = timers.filter(({ at }) => at <= until).sort((a, b) => a.at - b.at);
        if (next === undefined) break;
        timers = timers.filter((one) => one !== next);
        now = next.at;
        next.callback();
      }
      now = until;
    },
    get waiting() {
      return timers.length;
    },
  };
};

/** Two ends and the messages in transit between them, which stay there until the test delivers them. */
const createPair = ({ consume = true } = {}) => {
  const timers = manualTimers();
  const wire: { to: 'a' | 'b'; message: Message }[] = [];
  const violations: string[] = [];
  const delivered = { a: [] as Frame[], b: [] as Frame[] };
  const end = (name: 'a' | 'b'): SessionWindow<Frame, Frame> => {
    const window: SessionWindow<Frame, Frame> = new SessionWindow<Frame, Frame>({
      timers,
      send: (message) => wire.push({ to: name === 'a' ? 'b' : 'a', message }),
      bytesOf: ({ bytes }) => bytes,
      deliver: (frame) => {
        delivered[name].push(frame);
        if (consume) window.consumed(frame.bytes);
      },
      onViolation: (why) => violations.push(`${name}: ${why}`),
    });
    return window;
  };
  const ends = { a: end('a'), b: end('b') };
  const arrive = (index: number) => {
    const [one] = wire.splice(index, 1);
    if (one) ends[one.to].receive(one.message);
  };
  /** Delivers every message, until no end sends another one. */
  const settle = (rounds = 400) => {
    for (let round = 0; round < rounds; round += 1) {
      for (let arrived = 0; wire.length > 0 && arrived < 20_000; arrived += 1) arrive(0);
      if (ends.a.settled && ends.b.settled && wire.length === 0) return;
      timers.pass(500);
    }
  };
  return { timers, wire, violations, delivered, ends, arrive, settle };
};

type End = 'a' | 'b';
type Pair = ReturnType<typeof createPair>;

/** Random actions on two ends. Queued frames are recorded in `sent`. */
const createWorld = () => {
  const pair = createPair();
  const sent = { a: [] as number[], b: [] as number[] };
  const urgent = { a: [] as number[], b: [] as number[] };
  let id = 0;
  const at = (index: number) => index % Math.max(1, pair.wire.length);
  return {
    pair,
    sent,
    urgent,
    count: () => id,
    put: (from: End, bytes: number) => {
      sent[from].push(++id);
      pair.ends[from].put({ id, bytes }, bytes);
    },
    putUrgent: (from: End) => {
      urgent[from].push(++id);
      pair.ends[from].putUrgent({ id, bytes: 0 });
    },
    arrive: (index: number) => pair.arrive(at(index)),
    lose: (index: number) => void pair.wire.splice(at(index), 1),
    repeat: (index: number) => {
      const again = pair.wire[at(index)];
      if (again) pair.wire.push(again);
    },
    cut: (of: End) => pair.ends[of].disconnected(),
    connect: (of: End) => pair.ends[of].connected(),
    pass: (milliseconds: number) => pair.timers.pass(milliseconds),
  };
};
type Step = (world: ReturnType<typeof createWorld>) => void;

const anEnd = fc.constantFrom<End>('a', 'b');
const index = fc.nat(40);
const weighted = <T>(weight: number, given: fc.Arbitrary<T>, step: (value: T) => Step) => ({
  weight,
  arbitrary: given.map(step),
});
const steps: fc.Arbitrary<Step> = fc.oneof(
  weighted(
    8,
    fc.tuple(anEnd, fc.nat(SESSION_LIMITS.dataBytes)),
    ([from, bytes]) =>
      (w) =>
        w.put(from, bytes),
  ),
  weighted(1, anEnd, (from) => (w) => w.putUrgent(from)),
  weighted(10, index, (at) => (w) => w.arrive(at)),
  weighted(3, index, (at) => (w) => w.lose(at)),
  weighted(3, index, (at) => (w) => w.repeat(at)),
  weighted(1, anEnd, (of) => (w) => w.cut(of)),
  weighted(2, anEnd, (of) => (w) => w.connect(of)),
  weighted(3, fc.nat(4_000), (milliseconds) => (w) => w.pass(milliseconds)),
);

test('every frame is delivered once, in order and within the window, whatever is lost, repeated, reordered or disconnected', () => {
  fc.assert(
    fc.property(fc.array(steps, { maxLength: 250 }), (taken) => {
      const world = createWorld();
      const { pair, sent, urgent } = world;
      for (const end of ['a', 'b'] as const) world.connect(end);
      for (const step of taken) step(world);
      for (const end of ['a', 'b'] as const) world.connect(end);
      pair.settle();
      const arrived = (of: End, ids: number[]) =>
        pair.delivered[of].map((frame) => frame.id).filter((one) => ids.includes(one));
      expect([arrived('b', sent.a), arrived('a', sent.b)]).toEqual([sent.a, sent.b]);
      expect([arrived('b', urgent.a), arrived('a', urgent.b)]).toEqual([urgent.a, urgent.b]);
      expect(pair.delivered.a.length + pair.delivered.b.length).toBe(world.count());
      expect(pair.violations).toEqual([]);
    }),
    { numRuns: 300 },
  );
});

const fill = (pair: Pair, count: number, bytes: number = SESSION_LIMITS.dataBytes) => {
  let sent = 0;
  for (let id = 1; id <= count; id += 1)
    pair.ends.a.put({ id, bytes }, bytes, () => {
      sent += 1;
    });
  return () => sent;
};

test('a sender stops at the window when the reader consumes nothing', () => {
  const pair = createPair({ consume: false });
  pair.ends.a.connected();
  pair.ends.b.connected();
  const sent = fill(pair, 1_000);
  pair.settle(20);
  const bytes = pair.delivered.b.reduce((sum, frame) => sum + frame.bytes, 0);
  expect(bytes).toBeLessThanOrEqual(SESSION_LIMITS.windowBytes);
  expect(bytes).toBeGreaterThan(SESSION_LIMITS.windowBytes - 2 * SESSION_LIMITS.dataBytes);
  expect(sent()).toBe(pair.delivered.b.length);
  pair.ends.b.consumed(SESSION_LIMITS.windowBytes / 2);
  pair.settle(20);
  expect(sent()).toBeGreaterThan(bytes / SESSION_LIMITS.dataBytes);
});

test('a signal is sent before input that waits for credit', () => {
  const pair = createPair({ consume: false });
  pair.ends.a.connected();
  pair.ends.b.connected();
  fill(pair, 100);
  pair.settle(5);
  pair.ends.a.putUrgent({ id: 999, bytes: 0 });
  pair.settle(5);
  expect(pair.delivered.b.at(-1)?.id).toBe(999);
});

test('a lost message with credit is requested again', () => {
  const pair = createPair({ consume: false });
  pair.ends.a.connected();
  pair.ends.b.connected();
  fill(pair, 100);
  pair.settle(5);
  const before = pair.delivered.b.length;
  pair.ends.b.consumed(SESSION_LIMITS.windowBytes);
  pair.wire.length = 0;
  pair.settle(40);
  expect(pair.delivered.b.length).toBeGreaterThan(before);
});

test('a lost frame is repeated while frames arrive from the other direction', () => {
  const pair = createPair();
  pair.ends.a.connected();
  pair.ends.b.connected();
  pair.settle(5);
  pair.ends.a.put({ id: 1, bytes: 1 }, 1);
  pair.wire.length = 0;
  for (let id = 100; id < 200; id += 1) {
    pair.ends.b.put({ id, bytes: 1 }, 1);
    while (pair.wire.length > 0) pair.arrive(0);
    pair.timers.pass(100);
  }
  expect(pair.delivered.b.map(({ id }) => id)).toEqual([1]);
});

test('sending beyond the limit is reported as a violation, and the data is not kept', () => {
  const pair = createPair({ consume: false });
  const bytes = SESSION_LIMITS.dataBytes;
  for (let sequence = 1; sequence < 20; sequence += 1)
    pair.ends.b.receive({ kind: 'frame', sequence, frame: { id: sequence, bytes }, ack: 0, limit: 0 });
  expect(pair.violations[0]).toBe('b: received more data than the limit allows');
  expect(pair.delivered.b.length * bytes).toBeLessThanOrEqual(SESSION_LIMITS.windowBytes);
});

test('impossible acknowledgements are ignored', () => {
  const pair = createPair();
  pair.ends.a.connected();
  pair.ends.a.put({ id: 1, bytes: 1 }, 1);
  pair.ends.a.receive({ kind: 'ack', ack: 1_000_000, limit: Number.MAX_SAFE_INTEGER });
  expect(pair.ends.a.settled).toBe(false);
  pair.ends.a.receive({ kind: 'ack', ack: 1, limit: 0 });
  expect(pair.ends.a.settled).toBe(true);
});

test('frames too far ahead are not kept', () => {
  const pair = createPair();
  const far = SESSION_LIMITS.framesAhead + 1;
  pair.ends.b.receive({ kind: 'frame', sequence: far, frame: { id: far, bytes: 1 }, ack: 0, limit: 0 });
  for (let sequence = 1; sequence < far; sequence += 1)
    pair.ends.b.receive({ kind: 'frame', sequence, frame: { id: sequence, bytes: 1 }, ack: 0, limit: 0 });
  expect(pair.delivered.b.at(-1)?.id).toBe(far - 1);
});

test('a closed window has no timer and sends nothing', () => {
  const pair = createPair();
  pair.ends.a.connected();
  fill(pair, 3);
  pair.ends.b.connected();
  pair.arrive(1);
  pair.ends.a.close();
  pair.ends.b.close();
  pair.wire.length = 0;
  pair.timers.pass(60_000);
  expect([pair.timers.waiting, pair.wire.length]).toEqual([0, 0]);
});

test('an idle session sends nothing', () => {
  const pair = createPair();
  pair.ends.a.connected();
  pair.ends.b.connected();
  fill(pair, 3);
  pair.settle();
  pair.timers.pass(1_000);
  pair.settle();
  pair.timers.pass(600_000);
  expect(pair.wire).toEqual([]);
});
