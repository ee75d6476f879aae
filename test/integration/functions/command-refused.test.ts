import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { deriveSigningKey, signPayload } from '../../../core/authenticity/signing-key.ts';
import { eventOf } from '../../../functions/process-changes/event-of.ts';
import { putNextKey } from '../../../store/command-keys.ts';
import { createItem, UnreadableItemError } from '../../../store/item-format.ts';
import { keys } from '../../../store/keys.ts';
import { pack } from '../../../store/packed.ts';
import { openWorld, type World } from '../../helpers/control-plane-world.ts';
import { type Engine, startEngine } from '../../helpers/dynoxide.ts';
import type { FakeHost } from '../../helpers/fake-host.ts';
import { TENANT } from '../../helpers/records.ts';
import { COMMAND_KEY, commandsIn } from '../../helpers/signing.ts';

let engine: Engine;
let world: World;
let host: FakeHost;
const unreadable: unknown[] = [];

beforeAll(async () => {
  engine = await startEngine();
});
afterAll(() => engine.stop());
beforeEach(async () => {
  world = openWorld(await engine.table({ onUnreadable: (error) => unreadable.push(error) }));
  unreadable.length = 0;
  host = await world.addHost();
  await world.connect(host);
  await world.settle();
  host.received.length = 0;
});

const forged = {
  id: 'forged',
  hostId: '',
  containerId: null,
  epoch: 1,
  ttlSeconds: 60,
  arguments: { verb: 'exec', command: ['id'], timeoutSeconds: 5 },
};
const write = (content: object) =>
  world.table.put({
    Item: createItem('command', keys.command(TENANT, host.hostId, 'forged'), {
      state: 'pending',
      expiresAt: world.clock.now + 60_000,
      ...content,
    }),
  });
const beat = async () => {
  host.heartbeat();
  await world.settle();
};
const sent = () => host.received.filter(({ action }) => action === 'command');
const refuse = async (commandId: string, reason: 'unsigned' | 'wrong-signature' = 'unsigned') => {
  host.outbox.push({ action: 'commandRefused', messageId: host.messageId(), commandId, reason });
  await world.settle();
};
const refusals = async () =>
  (await world.table.query({ key: keys.refusedCommand(TENANT, host.hostId, ''), sort: 'any' })).items;
const metric = () => world.lines.filter((line) => line.includes('"CommandRefused"'));

describe('a command that an attacker wrote into the table', () => {
  test('is sent unchanged: the control plane signs only commands that it created', async () => {
    await write({ command: forged });
    await beat();
    expect(sent()).toMatchObject([{ signature: '', keyId: '' }]);
  });

  test.each([
    ['not JSON', 'nonsense'],
    ['no command', '{"id":1}'],
    ['a new id', JSON.stringify({ ...forged, id: 'another' })],
  ])('does not keep the host from its other commands with %s in its payload', async (_, payload) => {
    await write({ signed: { payload: pack(payload), signature: 'x', keyId: COMMAND_KEY.keyId } });
    host.silentOn.add('startContainer');
    await world.create();
    host.receive = (message) => void host.received.push(message);
    await world.settle();
    expect(sent()).toMatchObject([{ keyId: COMMAND_KEY.keyId }]);
    await beat();
    expect(sent().some((one) => 'payload' in one && one.payload === payload)).toBe(true);
  });
});

describe('a refusal reported by a host', () => {
  test('is recorded once, counted and acknowledged, and ends the task that waits for the command', async () => {
    await write({ command: forged });
    host.receive = (message) => void host.received.push(message);
    await refuse('forged');
    await refuse('forged');
    expect(await refusals()).toHaveLength(1);
    expect(metric()).toHaveLength(1);
    expect(host.received.filter(({ action }) => action === 'ack')).toHaveLength(2);
    const item = await world.table.get(keys.command(TENANT, host.hostId, 'forged'));
    expect(item).toMatchObject({ state: { S: 'answered' } });
    await beat();
    expect(sent()).toEqual([]);
  });

  test('fails the operation whose command was overwritten', async () => {
    host.silentOn.add('startContainer');
    const { operationId } = await world.create();
    await world.settle();
    const [command] = commandsIn(host.received).filter(({ id }) => id.startsWith(operationId));
    await refuse(command?.id ?? '', 'wrong-signature');
    await world.settle();
    expect((await world.operation(operationId)).view).toMatchObject({
      state: 'Failed',
      error: { code: 'command-not-authentic' },
    });
  });

  test('of a command that is not in the table is recorded too', async () => {
    await refuse('');
    await refuse('gone', 'wrong-signature');
    expect(await refusals()).toHaveLength(2);
  });

  test('causes a separate event', async () => {
    await refuse('forged');
    const [after] = await refusals();
    const record = eventOf({ sequenceNumber: '1', at: world.clock.now, before: undefined, after });
    expect(record).toMatchObject({
      tenant: TENANT,
      event: {
        type: 'Command Refused',
        resource: { kind: 'command', id: 'forged' },
        hostId: host.hostId,
        state: 'unsigned',
        actor: `host:${host.hostId}`,
      },
    });
    expect(eventOf({ sequenceNumber: '2', at: 1, before: after, after: undefined })).toBeUndefined();
  });
});

describe('a welcome', () => {
  test('contains the time, and the keys for a host without keys', async () => {
    host.hello();
    await world.settle();
    expect(host.received[0]).toMatchObject({
      action: 'welcome',
      signedTime: { keyId: COMMAND_KEY.keyId },
      commandKeys: [COMMAND_KEY.publicKey],
    });
  });

  test('gives a host with an older key the announcements up to the newest key, regardless of other announcements', async () => {
    const [older, newest] = [deriveSigningKey('older'), COMMAND_KEY];
    await putNextKey(world.table, signPayload(older, 'next-key', { publicKey: newest.publicKey }));
    await world.table.put({
      Item: createItem('commandKey', keys.commandKey('damaged'), { announcement: { payload: 1 } }),
    });
    host.outbox.push({
      ...{ action: 'hello', messageId: 'h', protocol: 1, agentVersion: '1.0.0' },
      ...{ facts: host.facts, images: [], observed: [], commandKey: older.keyId },
    });
    await world.settle();
    const welcome = host.received.find(({ action }) => action === 'welcome');
    expect(welcome).toMatchObject({ nextKeys: [{ keyId: older.keyId }] });
    expect(welcome).not.toHaveProperty('commandKeys');
    expect(unreadable).toEqual([expect.any(UnreadableItemError)]);
  });
});
