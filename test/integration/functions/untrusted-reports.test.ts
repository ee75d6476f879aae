import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { type AgentMessage, AgentMessageSchema } from '../../../core/contract/agent/messages.ts';
import { parseHostLink } from '../../../store/host-links.ts';
import { getImage, listHolders } from '../../../store/images.ts';
import { keys } from '../../../store/keys.ts';
import { addOperation, type OperationRecord } from '../../../store/operations.ts';
import { keyItem } from '../../../store/table.ts';
import { decideConversion } from '../../../workflow/conversion/decide-conversion.ts';
import { FACTS, IMAGE, openWorld, type World } from '../../helpers/control-plane-world.ts';
import { type Engine, startEngine } from '../../helpers/dynoxide.ts';
import type { FakeHost } from '../../helpers/fake-host.ts';
import { TENANT } from '../../helpers/records.ts';

let engine: Engine;
let world: World;
let host: FakeHost;

beforeAll(async () => {
  engine = await startEngine();
});
afterAll(() => engine.stop());
beforeEach(async () => {
  world = openWorld(await engine.table());
  host = await world.addHost();
  await world.connect(host);
  await world.settle();
});

const FORGED = { ...IMAGE, os: 'windows' as const, osBuild: 99_999, digest: `sha256:${'f'.repeat(64)}` };
const container = async (id: string) => {
  const found = await world.container(id);
  if (found === undefined) throw new TypeError(`no container ${id}`);
  return found;
};
const running = async (): Promise<string> => {
  const { id } = await world.create();
  await world.settle();
  return id;
};

describe('a host’s report on a catalogued image', () => {
  let other: FakeHost;
  beforeEach(async () => {
    other = await world.addHost({}, { images: false });
  });

  test.each(['hello', 'observed'])('in a %s changes only which image that host holds', async (action) => {
    other.images = action === 'hello' ? [FORGED] : [];
    await world.connect(other);
    if (action === 'observed')
      other.outbox.push({ action: 'observed', messageId: 'm', observed: [], images: [FORGED] });
    await world.settle();
    expect((await getImage(world.table, TENANT, 'mini'))?.view).toMatchObject(IMAGE);
    const held = await listHolders(world.table, TENANT, 'mini');
    expect(new Map(held.map(({ hostId, digest }) => [hostId, digest]))).toEqual(
      new Map([
        [host.hostId, IMAGE.digest],
        [other.hostId, FORGED.digest],
      ]),
    );
  });

  test('does not prevent the conversion of a container on another host', async () => {
    const id = await running();
    other.images = [FORGED];
    await world.connect(other);
    await world.settle();
    expect(await decideConversion(world.table, await container(id), 'HyperV', false)).toMatchObject({
      kind: 'begin',
    });
  });
});

test('with facts that contradict its container does not prevent a conversion', async () => {
  const id = await running();
  const image = await world.table.get(keys.image(TENANT, 'mini'));
  await world.table.put({ Item: { ...image, view: { M: { ...image?.view?.M, os: { S: 'windows' } } } } });
  expect((await getImage(world.table, TENANT, 'mini'))?.view.os).toBe('windows');
  expect(await decideConversion(world.table, await container(id), 'HyperV', false)).toMatchObject({
    kind: 'begin',
  });
});

describe('a host’s report on an import', () => {
  const importedAs = async (imageName: string, image: typeof FORGED): Promise<void> => {
    const at = world.deps.now().toISOString();
    const operation: OperationRecord = {
      tenant: TENANT,
      id: randomUUID(),
      revision: 1,
      epoch: 0,
      parameters: { source: { path: '/srv/images/tools.tar' } },
      machine: 'run-command',
      after: null,
      placeToken: null,
      actor: 'ann',
      view: {
        kind: 'importImage',
        containerId: null,
        imageName,
        hostId: host.hostId,
        state: 'Pending',
        reason: null,
        steps: [],
        error: null,
        requestedBy: 'ann',
        deadline: new Date(world.clock.now + 900_000).toISOString(),
        createdAt: at,
        updatedAt: at,
        endedAt: null,
      },
    };
    host.silentOn.add('importImage');
    await world.table.transact([addOperation(operation)]);
    world.tasks.start(operation);
    await world.settle();
    const [commandId = ''] = host.inProgress;
    const result = { status: 'succeeded' as const, commandId, steps: [], observed: null, image };
    host.outbox.push({ action: 'result', messageId: 'm', result });
    await world.settle();
    expect((await world.operation(operation.id)).view.state).toBe('Succeeded');
  };

  test('replaces the facts of the requested image', async () => {
    await importedAs('Mini', FORGED);
    expect((await getImage(world.table, TENANT, 'mini'))?.view).toMatchObject({ ...FORGED, name: 'mini' });
  });

  test('changes no other image of the catalogue', async () => {
    await importedAs('tools', FORGED);
    expect((await getImage(world.table, TENANT, 'mini'))?.view).toMatchObject(IMAGE);
  });
});

describe('a connection that is not the current one of its host', () => {
  const messages = (id: string, operationId: string): readonly AgentMessage[] => {
    const observed = host.containers.get(id);
    if (observed === undefined) throw new TypeError('not there');
    const off = { ...observed, phase: 'Off' as const, startedAt: null, exitCode: 1, sequence: 10_000 };
    const commandId = `${operationId}:start:1`;
    return [
      { action: 'observed', messageId: 'm1', observed: [off], images: [{ ...IMAGE, name: 'planted' }] },
      {
        action: 'result',
        messageId: 'm2',
        result: { status: 'succeeded', commandId, steps: [], observed: off },
      },
      { action: 'progress', commandId, steps: [] },
      { action: 'commandRefused', messageId: 'm3', commandId, reason: 'unsigned' },
    ];
  };
  const expectIgnored = async (connectionId: string, said: AgentMessage, id: string) => {
    const before = await world.container(id);
    const received = host.received.length;
    world.consumed.reset();
    await world.message(world.eventOf(host, '$default', connectionId, said));
    expect(world.consumed.calls().map(({ operation }) => operation)).toEqual(['GetItem']);
    expect(await world.container(id)).toEqual(before);
    expect(await getImage(world.table, TENANT, 'planted')).toBeUndefined();
    expect(host.received).toHaveLength(received);
    expect(world.closed).toContain(connectionId);
  };

  test.each([0, 1, 2, 3])('superseded: message %s changes nothing', async (index) => {
    const { id, operationId } = await world.create();
    await world.settle();
    const first = world.connectionOf(host) ?? '';
    world.clock.now += 1000;
    await world.connect(host);
    await world.settle();
    const said = messages(id, operationId)[index];
    if (said !== undefined) await expectIgnored(first, said, id);
  });

  test.each([0, 1, 2, 3])('of a removed host: message %s changes nothing', async (index) => {
    const { id, operationId } = await world.create();
    await world.settle();
    const connectionId = world.connectionOf(host) ?? '';
    await world.table.remove({ Key: keyItem(keys.host(TENANT, host.hostId)) });
    await world.table.remove({ Key: keyItem(keys.hostLink(TENANT, host.hostId)) });
    const said = messages(id, operationId)[index];
    if (said !== undefined) await expectIgnored(connectionId, said, id);
  });

  test('a message over the current connection is processed, for one additional read unit', async () => {
    const id = await running();
    const said = messages(id, randomUUID())[0];
    world.consumed.reset();
    if (said !== undefined) await world.say(host, said);
    expect(world.consumed.calls()[0]).toMatchObject({ operation: 'GetItem', units: 1 });
    expect(await container(id)).toMatchObject({ view: { state: 'Off' } });
    expect(await getImage(world.table, TENANT, 'planted')).toBeDefined();
  });

  test('a $connect that is overtaken by the removal of its host creates no link', async () => {
    await world.table.remove({ Key: keyItem(keys.host(TENANT, host.hostId)) });
    await world.table.remove({ Key: keyItem(keys.hostLink(TENANT, host.hostId)) });
    expect(await world.connection(world.eventOf(host, '$connect', 'late'))).toEqual({ statusCode: 409 });
    expect(await world.table.get(keys.hostLink(TENANT, host.hostId))).toBeUndefined();
  });

  test('an enrolled host that has never been connected gets its link', async () => {
    const fresh = await world.addHost();
    const connectionId = await world.connect(fresh);
    const item = await world.table.get(keys.hostLink(TENANT, fresh.hostId));
    expect(item && parseHostLink(item).connectionId).toBe(connectionId);
  });
});

describe('a container that was converted while off, and then runs without a start', () => {
  const unanswered = async () => {
    const { id } = await world.create({ start: false });
    await world.settle();
    host.silentOn.add('convertContainer').add('restoreContainer');
    await world.convert(id, 'HyperV');
    // The host answers neither the conversion nor the operation that undoes it.
    for (let tried = 0; tried < 2; tried += 1) {
      await world.settle();
      const { epoch, view } = await container(id);
      await world.handlers.settle({
        tenant: TENANT,
        operationId: view.activeOperationId ?? '',
        containerId: id,
        epoch,
        failure: { error: 'States.Timeout', cause: '' },
        undone: false,
      });
    }
    return id;
  };

  test.each(['Default', 'HyperV'] as const)(
    'as %s gets a reservation, which is released when it ends',
    async (runtimeType) => {
      const id = await unanswered();
      const before = await container(id);
      expect(before).toMatchObject({ reservation: null, view: { state: 'Unknown' } });
      const runs = {
        containerId: id,
        epoch: before.epoch,
        phase: 'Running' as const,
        runtimeType,
        startedAt: '2026-11-24T09:00:00.000Z',
        exitCode: null,
        exitReason: null,
        restartCount: 0,
        workerProcess: null,
        sequence: 1000,
      };
      host.containers.set(id, runs);
      host.outbox.splice(0);
      host.outbox.push({ action: 'observed', messageId: 'm', observed: [runs] });
      await world.settle();
      const memoryMB = runtimeType === 'HyperV' ? 192 : 128;
      expect(await container(id)).toMatchObject({
        reservation: { memoryMB },
        conversion: null,
        view: { state: 'Running', runtimeType },
      });
      expect((await world.host(host.hostId)).free.memoryMB).toBe(4096 - memoryMB);
      const ended = { ...runs, phase: 'Off' as const, startedAt: null, exitCode: 0, sequence: 1001 };
      host.containers.set(id, ended);
      host.outbox.push({ action: 'observed', messageId: 'n', observed: [ended] });
      await world.settle();
      expect((await container(id)).view.state).toBe('Off');
      expect((await world.host(host.hostId)).free.memoryMB).toBe(4096);
    },
  );
});

describe('a host’s texts are limited', () => {
  test('a long reason and long names of steps are truncated, and the rest of the message is used', async () => {
    const long = 'x'.repeat(20_000);
    const step = { state: 'Succeeded' as const, startedAt: '2026-11-24T09:00:00.000Z', durationMs: 1 };
    const parsed = AgentMessageSchema.parse({
      action: 'progress',
      commandId: 'c',
      steps: [{ ...step, name: long, detail: long }],
    });
    expect(parsed).toMatchObject({ steps: [{ name: 'x'.repeat(128), detail: 'x'.repeat(1024) }] });

    const id = await running();
    const observed = host.containers.get(id);
    if (observed === undefined) throw new TypeError('not there');
    const off = { ...observed, phase: 'Off' as const, startedAt: null, exitCode: 1, exitReason: long };
    await world.say(host, {
      action: 'observed',
      messageId: 'm',
      observed: [{ ...off, sequence: 10_000 }],
    });
    const { view } = await container(id);
    expect(view).toMatchObject({ state: 'Off', lastError: { code: 'process-exited' } });
    expect(view.lastError?.detail).toBe('x'.repeat(512));
  });

  test.each([
    { capacity: { ...FACTS.capacity, memoryMB: 2 ** 40 } },
    { capacity: { ...FACTS.capacity, cpus: 2 ** 40 } },
    { capacity: { ...FACTS.capacity, diskMB: 2 ** 50 } },
    { utilityVmOverheadMB: 2 ** 40 },
  ])('facts beyond any real host are refused: %j', async (facts) => {
    host.facts = { ...FACTS, ...facts };
    host.hello();
    host.received.length = 0;
    await world.settle();
    expect(host.received).toMatchObject([{ action: 'refused' }]);
    expect((await world.host(host.hostId)).view.facts).toEqual(FACTS);
  });
});
