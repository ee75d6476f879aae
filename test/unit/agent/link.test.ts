import { beforeEach, expect, test } from '@jest/globals';
import * as z from 'zod/mini';
import { Link } from '../../../agent/link/link.ts';
import type { TransportHandlers } from '../../../agent/link/transport.ts';
import { createLog } from '../../../agent/log.ts';
import { simulatedMachine } from '../../../agent/runtimes/simulated/kinds.ts';
import { createMemoryState } from '../../../agent/state/memory-state.ts';
import { HelloSchema } from '../../../core/contract/agent/messages.ts';
import { ManualClock, settled } from '../../helpers/manual-clock.ts';

const { facts, images } = simulatedMachine('linux');

let clock: ManualClock;
let protocol: number;
let dials: number;
let connected: number;
let logged: string[];
let link: Link;

/** A control plane that answers each hello with a welcome of `protocol`, and closes when the agent does. */
const dial = async (handlers: TransportHandlers) => {
  dials += 1;
  clock.after(0, handlers.onOpen);
  return {
    send: (message: Buffer) => {
      const hello = HelloSchema.safeParse(JSON.parse(message.toString()));
      if (!hello.success) return;
      const { messageId } = hello.data;
      const welcome = { action: 'welcome', messageId, protocol, heartbeatSeconds: 30, leaseSeconds: 90 };
      clock.after(0, () => handlers.onMessage(JSON.stringify(welcome)));
    },
    close: () => handlers.onClose('the agent closed the connection'),
  };
};

beforeEach(() => {
  clock = new ManualClock();
  protocol = 1;
  dials = 0;
  connected = 0;
  logged = [];
  let ids = 0;
  link = new Link({
    agentVersion: '1',
    state: createMemoryState(clock),
    clock,
    random: () => 0.5,
    newId: () => `message-${++ids}`,
    log: createLog({ level: 'warn', forPeople: false, clock, write: (line) => logged.push(line) }),
    facts: async () => facts,
    images: async () => images,
    observeAll: async () => [],
    observe: () => Promise.reject(new TypeError('nothing is there')),
    inProgress: () => [],
    commandKey: () => undefined,
    onCommand: () => undefined,
    onUnsignedCommand: () => undefined,
    onKeys: () => undefined,
    onSessionMessage: () => undefined,
    onConnected: () => {
      connected += 1;
    },
    dial,
  });
});

const pass = async (ms: number) => {
  for (let passed = 0; passed < ms; passed += 100) {
    await clock.pass(100);
    await settled();
  }
};
const messages = () =>
  logged.map((line) => z.parse(z.object({ message: z.string() }), JSON.parse(line)).message);

test('a connection to a control plane of another protocol version is retried with growing pauses until it is updated', async () => {
  protocol = 2;
  link.start();
  await pass(60_000);
  expect(connected).toBe(0);
  expect(dials).toBeGreaterThan(4);
  expect(dials).toBeLessThan(10);
  const words = 'the control plane uses protocol version 2, this agent 1; update the agent';
  expect(messages().filter((message) => message === words)).toHaveLength(dials);
  protocol = 1;
  await pass(30_000);
  expect(connected).toBe(1);
  link.stop();
});

test('a control plane of the same protocol version gets one connection', async () => {
  link.start();
  await pass(10_000);
  expect({ connected, dials, logged }).toEqual({ connected: 1, dials: 1, logged: [] });
  link.stop();
});
