import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { type Agent, createAgent } from '../../../agent/agent.ts';
import { trustAtFirst } from '../../../agent/authenticity/trusted-keys.ts';
import { systemClock } from '../../../agent/clock.ts';
import { createLog } from '../../../agent/log.ts';
import { createMemoryState } from '../../../agent/state/memory-state.ts';
import { deriveSigningKey } from '../../../core/authenticity/signing-key.ts';
import type { AgentMessage, ControlMessage } from '../../../core/contract/agent/messages.ts';
import type { Signed } from '../../../core/contract/agent/signed.ts';
import { eventOf } from '../../../functions/process-changes/event-of.ts';
import { createItem } from '../../../store/item-format.ts';
import { keys } from '../../../store/keys.ts';
import { pack } from '../../../store/packed.ts';
import { openWorld, type World } from '../../helpers/control-plane-world.ts';
import { type Engine, startEngine } from '../../helpers/dynoxide.ts';
import type { FakeHost } from '../../helpers/fake-host.ts';
import { TENANT } from '../../helpers/records.ts';
import { COMMAND_KEY, commandsIn, signCommand } from '../../helpers/signing.ts';
import { simulatedHost } from '../../helpers/simulated-host.ts';

/**
 * The control plane's functions on a real table, and a real agent on a simulated machine, without a network in between.
 */
let engine: Engine;
let world: World;
let host: FakeHost;
let agent: Agent;
let machine: ReturnType<typeof simulatedHost>;
let received: ControlMessage[];
/** Ids of answered commands, including repetitions. */
let results: string[];

beforeAll(async () => {
  engine = await startEngine();
});
afterAll(() => engine.stop());

const startAgent = async () => {
  machine = simulatedHost('linux', systemClock);
  agent = createAgent({
    ...{ hostId: host.hostId, agentVersion: '1', clock: systemClock, random: Math.random, newId: randomUUID },
    log: createLog({ level: 'error', forPeople: false, clock: systemClock, write: () => undefined }),
    state: createMemoryState(systemClock),
    runtime: machine.runtime,
    commandKeys: { load: () => trustAtFirst([COMMAND_KEY.publicKey]), save: () => undefined },
    dial: async (handlers) => {
      host.hello = () => undefined;
      host.receive = (message) => {
        received.push(message);
        handlers.onMessage(JSON.stringify(message));
      };
      await world.connect(host);
      setImmediate(handlers.onOpen);
      return {
        send: (data) => {
          const message: AgentMessage = JSON.parse(data.toString());
          if (message.action === 'result') results.push(message.result.commandId);
          host.outbox.push(message);
        },
        close: () => undefined,
      };
    },
  });
  await agent.start();
};

/** Exchanges messages between the two until the condition is true. */
const until = async (holds: () => boolean | Promise<boolean>): Promise<void> => {
  while (!(await holds())) {
    await world.settle();
    await sleep(5);
  }
};

beforeEach(async () => {
  [received, results] = [[], []];
  world = openWorld(await engine.table());
  host = await world.addHost();
  await startAgent();
});
afterEach(() => {
  agent.stop();
  machine.runtime.close();
});

const write = (id: string, content: object) =>
  world.table.put({
    Item: createItem('command', keys.command(TENANT, host.hostId, id), {
      ...{ state: 'pending', expiresAt: world.clock.now + 60_000, ...content },
    }),
  });
/** A signed command as the table has it. */
const stored = (signed: Signed) => ({ ...signed, payload: pack(signed.payload) });
const refusals = async () =>
  (await world.table.query({ key: keys.refusedCommand(TENANT, host.hostId, ''), sort: 'any' })).items;

const running = async (): Promise<string> => {
  const { id } = await world.create();
  await until(async () => (await world.container(id))?.view.state === 'Running');
  return id;
};

test('a command that an attacker writes into the table is not executed, and causes one event', async () => {
  const id = await running();
  const stop = { verb: 'stopContainer', timeoutSeconds: 0 };
  const forged = { hostId: host.hostId, containerId: id, epoch: 9, ttlSeconds: 60, arguments: stop };
  await write('unsigned', { command: { ...forged, id: 'unsigned' } });
  const guessed = signCommand({ ...forged, id: 'guessed' }, { key: deriveSigningKey('a guess') });
  await write('guessed', { signed: stored(guessed) });
  const changed = {
    ...signCommand({ id: 'changed' }),
    payload: JSON.stringify({ ...forged, id: 'changed' }),
  };
  await write('changed', { signed: stored(changed) });
  host.heartbeat();
  await until(async () => (await refusals()).length === 3);
  const events = (await refusals()).map((after, at) =>
    eventOf({ sequenceNumber: String(at), at: world.clock.now, before: undefined, after }),
  );
  expect(events.map((one) => [one?.event.type, one?.event.resource.id, one?.event.state]).sort()).toEqual([
    ['Command Refused', 'changed', 'wrong-signature'],
    ['Command Refused', 'guessed', 'unknown-key'],
    ['Command Refused', 'unsigned', 'unsigned'],
  ]);
  expect(machine.world.container(id)?.run).toMatchObject({ endedAt: null });
});

test('a genuine command that an attacker copies back into the table is not executed again', async () => {
  const id = await running();
  const start = received.find((one) => commandsIn([one])[0]?.arguments.verb === 'startContainer');
  if (start?.action !== 'command') throw new TypeError('no start was given');
  const { action: _, ...signed } = start;
  const [{ id: commandId } = { id: '' }] = commandsIn([start]);
  for (const key of [commandId, 'copy']) await write(key, { signed: stored(signed) });
  host.heartbeat();
  const answers = () => results.filter((one) => one === commandId).length;
  await until(() => answers() >= 2);
  expect(machine.world.container(id)?.runs).toEqual([commandId]);
});
