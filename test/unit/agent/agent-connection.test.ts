import { beforeEach, describe, expect, test } from '@jest/globals';
import * as z from 'zod/mini';
import { AgentConnection } from '../../../agent/link/agent-connection.ts';
import { createLog } from '../../../agent/log.ts';
import { simulatedMachine } from '../../../agent/runtimes/simulated/kinds.ts';
import type { AgentState } from '../../../agent/state/agent-state.ts';
import { createMemoryState } from '../../../agent/state/memory-state.ts';
import type { ObservedContainer } from '../../../core/contract/agent/commands.ts';
import {
  type AgentMessage,
  AgentMessageSchema,
  MESSAGE_BYTES,
} from '../../../core/contract/agent/messages.ts';
import type { ImageFacts } from '../../../core/contract/image.ts';
import { ManualClock, settled } from '../../helpers/manual-clock.ts';

const id = (index: number) => `0b1f6f0e-3f0c-4a53-9d5f-${String(index).padStart(12, '0')}`;
const { facts, images: fewImages } = simulatedMachine('linux');

let clock: ManualClock;
let state: AgentState;
let sent: AgentMessage[];
let held: number;
let images: readonly ImageFacts[];
let working: string[];
let sequence: number;
let incompatible: number;
let logged: string[];
let connection: AgentConnection;

const observed = (containerId: string): ObservedContainer => ({
  containerId,
  epoch: 1,
  phase: 'Running',
  runtimeType: 'Default',
  startedAt: null,
  exitCode: null,
  exitReason: null,
  restartCount: 0,
  workerProcess: null,
  sequence: ++sequence,
});

beforeEach(() => {
  clock = new ManualClock();
  state = createMemoryState(clock);
  sent = [];
  held = 1;
  images = fewImages;
  working = [];
  sequence = 0;
  incompatible = 0;
  logged = [];
  let ids = 0;
  connection = new AgentConnection(
    {
      agentVersion: '1',
      state,
      clock,
      random: () => 0.5,
      newId: () => `message-${++ids}`,
      log: createLog({ level: 'error', forPeople: false, clock, write: (line) => logged.push(line) }),
      facts: async () => facts,
      images: async () => images,
      observeAll: async () => Array.from({ length: held }, (_, index) => observed(id(index))),
      observe: async (containerId) => observed(containerId),
      inProgress: () => working,
      onCommand: () => undefined,
      commandKey: () => undefined,
      onUnsignedCommand: () => undefined,
      onKeys: () => undefined,
      onSessionMessage: () => undefined,
      onReady: () => undefined,
      onIncompatible: () => {
        incompatible += 1;
      },
    },
    (message) => {
      expect(message.length).toBeLessThanOrEqual(MESSAGE_BYTES);
      sent.push(z.parse(AgentMessageSchema, JSON.parse(message.toString())));
    },
  );
});

const of = <A extends AgentMessage['action']>(action: A) =>
  sent.filter((message): message is Extract<AgentMessage, { action: A }> => message.action === action);
const read = (message: unknown) => connection.receive(JSON.stringify(message));
const welcome = async () => {
  await connection.sendHello();
  const messageId = of('hello').at(-1)?.messageId;
  read({ action: 'welcome', messageId, protocol: 1, heartbeatSeconds: 30, leaseSeconds: 90 });
  await settled();
};
const answer = (commandId: string) =>
  state.refuse(commandId, { status: 'succeeded', commandId, steps: [], observed: null });

describe('an agent connection', () => {
  test('sends only the hello, repeatedly, before the welcome', async () => {
    answer('a');
    await connection.sendHello();
    connection.sendResult('a');
    connection.report({ containerId: id(0) });
    connection.sendProgress('a', []);
    await clock.pass(20_000);
    expect(new Set(sent.map(({ action }) => action))).toEqual(new Set(['hello']));
    const times = sent.length;
    expect(times).toBeGreaterThan(2);
    await welcome();
    expect(of('result')).toHaveLength(1);
    await clock.pass(60_000);
    expect(of('hello')).toHaveLength(times + 1);
  });

  test('sends a journaled result that is too large as a failure that fits', async () => {
    const isolation = {
      runtimeType: 'HyperV' as const,
      kernel: { host: '6.1', container: 'x'.repeat(MESSAGE_BYTES) },
      sharedKernel: false,
      containerProcesses: [],
      visibleOnHost: [],
      workerProcess: null,
    };
    state.refuse('a', { status: 'succeeded', commandId: 'a', steps: [], observed: null, isolation });
    await welcome();
    const [message] = of('result');
    expect(JSON.stringify(message).length).toBeLessThan(MESSAGE_BYTES);
    expect(message?.result).toMatchObject({ status: 'failed', commandId: 'a' });
  });

  test('resends results with growing pauses until they are acknowledged', async () => {
    answer('a');
    await welcome();
    await clock.pass(60_000);
    const times = of('result').length;
    expect(times).toBeGreaterThanOrEqual(4);
    expect(times).toBeLessThanOrEqual(7);
    read({ action: 'ack', messageId: of('result')[0]?.messageId });
    expect(state.unacknowledged()).toEqual([]);
    await clock.pass(120_000);
    expect(of('result')).toHaveLength(times);
  });

  test('resends a result after ten seconds at the earliest while others are acknowledged', async () => {
    await welcome();
    answer('slow');
    connection.sendResult('slow');
    const sentOf = (commandId: string) => of('result').filter(({ result }) => result.commandId === commandId);
    for (let at = 0; at < 19; at += 1) {
      answer(`quick-${at}`);
      connection.sendResult(`quick-${at}`);
      await clock.pass(500);
      read({ action: 'ack', messageId: sentOf(`quick-${at}`)[0]?.messageId });
    }
    expect(sentOf('slow')).toHaveLength(1);
    await clock.pass(1_000);
    expect(sentOf('slow')).toHaveLength(2);
  });

  test.each([
    ['2, with an unknown structure', { protocol: 2, heartbeat: { every: '30s' } }, 'update the agent'],
    [
      '2, with the known structure',
      { protocol: 2, heartbeatSeconds: 30, leaseSeconds: 90 },
      'update the agent',
    ],
    ['0', { protocol: 0, heartbeatSeconds: 30, leaseSeconds: 90 }, 'update the control plane'],
  ])('a welcome of protocol version %s is refused and logged', async (_, message, advice) => {
    answer('a');
    await connection.sendHello();
    read({ action: 'welcome', messageId: of('hello')[0]?.messageId, ...message });
    await settled();
    expect(incompatible).toBe(1);
    expect(connection.isReady).toBe(false);
    expect(sent.map(({ action }) => action)).toEqual(['hello']);
    expect(logged.map((line) => JSON.parse(line).message)).toEqual([
      `the control plane uses protocol version ${message.protocol}, this agent 1; ${advice}`,
    ]);
  });

  test('accepts a welcome with unknown members', async () => {
    await connection.sendHello();
    const [hello] = of('hello');
    const times = { heartbeatSeconds: 30, leaseSeconds: 90 };
    read({ action: 'welcome', messageId: hello?.messageId, protocol: 1, ...times, later: true });
    await settled();
    expect(connection.isReady).toBe(true);
    expect(logged).toEqual([]);
  });

  test('drops a refused result', async () => {
    answer('a');
    await welcome();
    read({ action: 'refused', messageId: of('result')[0]?.messageId, detail: 'not of the contract' });
    await clock.pass(60_000);
    expect(of('result')).toHaveLength(1);
    expect(state.unacknowledged()).toEqual([]);
  });

  test('sends observations one message at a time, each with the newest state', async () => {
    await welcome();
    for (const index of [1, 2, 1, 3, 1]) connection.report({ containerId: id(index) });
    await settled();
    expect(of('observed')).toHaveLength(1);
    read({ action: 'ack', messageId: of('observed')[0]?.messageId });
    await settled();
    const told = of('observed').map((message) => message.observed.map(({ containerId }) => containerId));
    expect(told).toEqual([[id(1)], [id(2), id(1), id(3)]]);
    const [first, second] = of('observed').map((message) => message.observed.map((one) => one.sequence ?? 0));
    expect(Math.max(...(first ?? []))).toBeLessThan(Math.min(...(second ?? [])));
  });

  test('sends the containers that do not fit into the hello afterwards', async () => {
    held = 1_000;
    await welcome();
    expect(of('hello')[0]?.partial).toBe(true);
    for (let round = 0; round < 10; round += 1) {
      const last = of('observed').at(-1);
      if (last) read({ action: 'ack', messageId: last.messageId });
      await settled();
    }
    const told = [...of('hello'), ...of('observed')].flatMap((message) =>
      message.observed.map((one) => one.containerId),
    );
    expect(new Set(told).size).toBe(1_000);
  });

  test('sends heartbeats at the interval of the welcome with the commands in progress', async () => {
    await welcome();
    working = ['a', 'b'];
    await clock.pass(45_000);
    expect(of('heartbeat')).toEqual([
      { action: 'heartbeat', inProgress: ['a', 'b'] },
      { action: 'heartbeat', inProgress: ['a', 'b'] },
    ]);
    working = Array.from({ length: 1_200 }, (_, index) => `operation-${id(index)}:StartContainer:1`);
    await clock.pass(30_000);
    expect(
      of('heartbeat')
        .slice(2)
        .flatMap(({ inProgress }) => inProgress),
    ).toEqual(working);
    connection.close();
    await clock.pass(300_000);
    expect(of('heartbeat')).toHaveLength(5);
  });
});

describe('more images than fit into a message', () => {
  const many = (count: number): ImageFacts[] =>
    Array.from({ length: count }, (_, index) => ({
      ...(fewImages[0] as ImageFacts),
      name: `Registry.example/team/image-${index}`,
      source: `registry.example/team/image-${index}`.padEnd(300, 'x'),
    }));
  /** Acknowledges until no more messages arrive. */
  const settleAll = async () => {
    for (let told = -1; told !== of('observed').length; await settled()) {
      told = of('observed').length;
      const messageId = of('observed').at(-1)?.messageId;
      if (messageId !== undefined) read({ action: 'ack', messageId });
      await settled();
    }
  };
  const parts = () => [...of('hello'), ...of('observed')].filter((message) => message.images !== undefined);

  test('are reported in adjacent ranges, each image once', async () => {
    images = many(1000);
    await welcome();
    await settleAll();
    const told = parts().flatMap((message) => message.images ?? []);
    expect(told.map(({ name }) => name).sort()).toEqual(images.map(({ name }) => name).sort());
    const ranges = parts().map(({ imageRange }) => imageRange);
    expect(ranges[0]?.after).toBeNull();
    expect(ranges.at(-1)?.through).toBeNull();
    for (const [index, range] of ranges.slice(1).entries()) expect(range?.after).toBe(ranges[index]?.through);
  });

  test('are resent from the first one after a change', async () => {
    images = many(1000);
    await welcome();
    images = many(10);
    connection.report({ images: true });
    await settleAll();
    expect(parts().at(-1)).toMatchObject({ images: expect.any(Array) });
    expect(parts().at(-1)?.images).toHaveLength(10);
    expect(parts().at(-1)?.imageRange).toBeUndefined();
  });

  test('do not block reports about containers', async () => {
    images = many(1000);
    await welcome();
    connection.report({ containerId: id(7) });
    const before = of('observed').length;
    read({ action: 'ack', messageId: of('observed').at(-1)?.messageId });
    await settled();
    expect(of('observed')[before]?.observed.map(({ containerId }) => containerId)).toEqual([id(7)]);
  });
});
