import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { RuntimeType } from '../../../core/contract/primitives.ts';
import { getComputeProcess } from '../../../store/compute-processes.ts';
import { keys } from '../../../store/keys.ts';
import { placeContainer } from '../../../workflow/placement/place-container.ts';
import { openWorld, type World } from '../../helpers/control-plane-world.ts';
import { type Engine, startEngine } from '../../helpers/dynoxide.ts';
import type { FakeHost } from '../../helpers/fake-host.ts';
import { TENANT } from '../../helpers/records.ts';
import { commandsIn } from '../../helpers/signing.ts';

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

const OTHER: Readonly<Record<RuntimeType, RuntimeType>> = { Default: 'HyperV', HyperV: 'Default' };
const HELD = { Default: { memoryMB: 128, cpus: 0.5 }, HyperV: { memoryMB: 192, cpus: 0.5 } };

const created = async (options: Parameters<World['create']>[0] = {}) => {
  const made = await world.create(options);
  await world.settle();
  return made.id;
};
const freeMemory = async () => (await world.host(host.hostId)).free.memoryMB;
/** The container is unchanged except for its error, and has no additional reservation. */
const expectAsItWas = async (id: string, runtimeType: RuntimeType, state: 'Off' | 'Running') => {
  const container = await world.container(id);
  expect(container).toMatchObject({
    conversion: null,
    tombstone: null,
    stateBefore: null,
    reservation: state === 'Off' ? null : HELD[runtimeType],
    view: { state, runtimeType, activeOperationId: null },
  });
  expect(await freeMemory()).toBe(4096 - (state === 'Off' ? 0 : HELD[runtimeType].memoryMB));
  expect(host.running()).toEqual(state === 'Off' ? [] : [id]);
  expect(host.containers.get(id)?.runtimeType).toBe(runtimeType);
};

describe.each<RuntimeType>(['Default', 'HyperV'])('from %s', (from) => {
  const to = OTHER[from];

  test('a running container gets the new type and its reservation, and the operation has the downtime', async () => {
    const id = await created({ runtimeType: from });
    const { operationId } = await world.convert(id, to);
    await world.settle();
    expect(await world.container(id)).toMatchObject({
      conversion: null,
      reservation: HELD[to],
      ranAs: [from, to],
      view: { state: 'Running', runtimeType: to, activeOperationId: null, lastError: null },
    });
    expect(await freeMemory()).toBe(4096 - HELD[to].memoryMB);
    expect(host.containers.get(id)).toMatchObject({ phase: 'Running', runtimeType: to });
    const { view } = await world.operation(operationId);
    expect(view).toMatchObject({ state: 'Succeeded', conversion: { from, to, downtimeMs: 12.5 } });
    expect(view.steps.filter(({ name }) => name !== 'do').map(({ name }) => name)).toEqual([
      'Place',
      'ConvertContainer',
    ]);
    const remembered = await world.table.get(keys.downtimes(TENANT, host.hostId, to));
    expect(remembered?.milliseconds?.L).toEqual([{ N: '12.5' }]);
    const process = await getComputeProcess(world.table, TENANT, id);
    expect(process?.view.runtimeType).toBe(to);
  });

  test('a container that is off stays off, without reservation and downtime', async () => {
    const id = await created({ runtimeType: from, start: false });
    const { operationId } = await world.convert(id, to);
    await world.settle();
    expect(await world.container(id)).toMatchObject({
      reservation: null,
      ranAs: [],
      conversion: null,
      view: { state: 'Off', runtimeType: to },
    });
    expect(await freeMemory()).toBe(4096);
    const { view } = await world.operation(operationId);
    expect(view).toMatchObject({ state: 'Succeeded', conversion: { from, to, downtimeMs: null } });
  });

  test.each(['Running', 'Off'] as const)(
    'that fails on its host leaves a %s container unchanged',
    async (state) => {
      const id = await created({ runtimeType: from, start: state === 'Running' });
      host.failing.add('convertContainer');
      const { operationId } = await world.convert(id, to);
      await world.settle(2);
      await expectAsItWas(id, from, state);
      const { view } = await world.operation(operationId);
      expect(view).toMatchObject({ state: 'Failed', error: { code: 'step-failed' } });
      const undo = commandsIn(host.received).map((one) => one.arguments);
      expect(undo.at(-1)).toMatchObject({
        verb: 'restoreContainer',
        to: state,
        container: { runtimeType: from },
      });
    },
  );
});

describe('capacity', () => {
  const tight = async () => {
    const id = await created();
    const { free } = await world.host(host.hostId);
    const other = await world.create({ memoryMB: free.memoryMB - 32 });
    await world.settle();
    return { id, other: other.id };
  };

  test('is reserved before anything stops: without it the container keeps running, and the operation has the reason', async () => {
    const { id } = await tight();
    const { operationId } = await world.convert(id, 'HyperV');
    await world.settle();
    const { view } = await world.operation(operationId);
    expect(view).toMatchObject({ state: 'Running', reason: expect.stringContaining('HyperV needs 64 MiB') });
    expect(host.containers.get(id)).toMatchObject({ phase: 'Running', runtimeType: 'Default' });
    expect(host.received.filter((one) => JSON.stringify(one).includes('convertContainer'))).toEqual([]);
  });

  test('that becomes free lets the conversion continue', async () => {
    const { id, other } = await tight();
    const { operationId } = await world.convert(id, 'HyperV');
    await world.settle();
    await world.begin(other, 'stop');
    await world.settle();
    await world.sweep();
    await world.settle();
    expect((await world.operation(operationId)).view.state).toBe('Succeeded');
    expect((await world.container(id))?.view).toMatchObject({ runtimeType: 'HyperV', state: 'Running' });
  });

  test('is released if the conversion does not start', async () => {
    const id = await created();
    const { operation, operationId } = await world.convert(id, 'HyperV');
    const input = { tenant: TENANT, operationId, containerId: id, epoch: operation.epoch };
    expect((await placeContainer(world.deps, input)).kind).toBe('placed');
    expect(await world.container(id)).toMatchObject({ reservation: HELD.HyperV });
    const failure = { error: 'Bulkhead.Cancelled', cause: '' };
    await world.handlers.settle({ ...input, failure, undone: true });
    expect((await world.operation(operationId)).view.state).toBe('Cancelled');
    await expectAsItWas(id, 'Default', 'Running');
  });

  test('that never becomes free leaves the container unchanged', async () => {
    const { id } = await tight();
    const { operationId } = await world.convert(id, 'HyperV');
    await world.settle();
    const before = await freeMemory();
    await world.handlers.settle(world.tasks.abort(operationId));
    expect((await world.operation(operationId)).view.state).toBe('Failed');
    expect(await world.container(id)).toMatchObject({
      reservation: HELD.Default,
      conversion: null,
      view: { state: 'Running', runtimeType: 'Default' },
    });
    expect(await freeMemory()).toBe(before);
  });
});

describe('during a conversion', () => {
  const converting = async () => {
    const id = await created();
    host.silentOn.add('convertContainer');
    const { operationId } = await world.convert(id, 'HyperV');
    await world.settle();
    return { id, operationId };
  };
  const answer = async () => {
    host.silentOn.clear();
    await world.connect(host);
    await world.settle();
  };

  test('a removal has priority: the conversion ends once, and then the container and its reservations are removed', async () => {
    const { id, operationId } = await converting();
    const removal = await world.supersede(id);
    expect((await world.operation(operationId)).view.state).toBe('Cancelling');
    await answer();
    expect(['Succeeded', 'Cancelled']).toContain((await world.operation(operationId)).view.state);
    expect((await world.operation(removal)).view.state).toBe('Succeeded');
    expect(await world.container(id)).toBeUndefined();
    expect(await freeMemory()).toBe(4096);
    expect(host.containers.size).toBe(0);
  });

  test('a removal ends a conversion that waits for capacity, and nothing is converted', async () => {
    const id = await created();
    const { free } = await world.host(host.hostId);
    await world.create({ memoryMB: free.memoryMB - 32 });
    await world.settle();
    const { operationId } = await world.convert(id, 'HyperV');
    await world.settle();
    await world.supersede(id);
    await world.sweep();
    await world.settle();
    expect((await world.operation(operationId)).view.state).toBe('Cancelled');
    expect(await world.container(id)).toBeUndefined();
    expect(host.received.filter((one) => JSON.stringify(one).includes('convertContainer'))).toEqual([]);
  });

  test('the container keeps its operation until it has ended', async () => {
    const { id, operationId } = await converting();
    expect((await world.container(id))?.view).toMatchObject({
      state: 'Converting',
      activeOperationId: operationId,
    });
    await answer();
    expect((await world.container(id))?.view).toMatchObject({ state: 'Running', runtimeType: 'HyperV' });
  });
});

describe('an aborted execution', () => {
  const aborted = async (state: 'Running' | 'Off' = 'Running') => {
    const id = await created({ start: state === 'Running' });
    host.silentOn.add('convertContainer');
    const { operationId } = await world.convert(id, 'HyperV');
    await world.settle();
    await world.handlers.settle(world.tasks.abort(operationId));
    const { view } = await world.operation(operationId);
    expect(view).toMatchObject({ state: 'Failed', error: { code: 'operation-aborted' } });
    return id;
  };
  /** The host has changed the container by itself in the meantime. */
  const becomes = (id: string, runtimeType: RuntimeType) => {
    const seen = host.containers.get(id);
    if (seen === undefined) throw new TypeError('not there');
    host.containers.set(id, { ...seen, runtimeType, sequence: (seen.sequence ?? 0) + 50, epoch: 2 });
  };

  test.each(['Running', 'Off'] as const)(
    'is followed by a separate rollback, and a container that was %s is unchanged',
    async (state) => {
      const id = await aborted(state);
      expect(await world.container(id)).toMatchObject({
        reservation: state === 'Running' ? HELD.HyperV : null,
        view: { state: 'Converting', runtimeType: 'Default' },
      });
      becomes(id, 'HyperV');
      await world.settle(2);
      await expectAsItWas(id, 'Default', state);
    },
  );

  test('has a lower priority than a waiting removal', async () => {
    const id = await created();
    host.silentOn.add('convertContainer');
    const { operationId } = await world.convert(id, 'HyperV');
    await world.settle();
    const removal = await world.supersede(id);
    await world.handlers.settle(world.tasks.abort(operationId));
    await world.settle();
    expect(await world.container(id)).toBeUndefined();
    expect((await world.operation(removal)).view.state).toBe('Succeeded');
    expect(await freeMemory()).toBe(4096);
    expect(host.containers.size).toBe(0);
  });

  test('whose rollback is lost too leaves the container Unknown with both reservations until the host reports', async () => {
    const id = await aborted();
    host.silentOn.add('restoreContainer');
    await world.settle();
    const back = (await world.container(id))?.view.activeOperationId ?? '';
    world.cut(host);
    await world.handlers.settle(world.tasks.abort(back));
    expect(await world.container(id)).toMatchObject({
      reservation: HELD.HyperV,
      view: { state: 'Unknown', runtimeType: 'Default' },
    });
    becomes(id, 'HyperV');
    await world.connect(host);
    await world.settle();
    expect(await world.container(id)).toMatchObject({
      reservation: HELD.HyperV,
      conversion: null,
      ranAs: ['Default', 'HyperV'],
      view: { state: 'Running', runtimeType: 'HyperV' },
    });
    expect(await freeMemory()).toBe(4096 - HELD.HyperV.memoryMB);
  });

  test('on a host that has converted the container by itself takes over its type and reservation', async () => {
    const id = await created();
    becomes(id, 'HyperV');
    await world.connect(host);
    await world.settle();
    expect(await world.container(id)).toMatchObject({
      reservation: HELD.HyperV,
      ranAs: ['Default', 'HyperV'],
      view: { state: 'Running', runtimeType: 'HyperV' },
    });
    expect(await freeMemory()).toBe(4096 - HELD.HyperV.memoryMB);
  });
});

describe('code that may have run in a VM', () => {
  test('is recorded even if its run was not observed', async () => {
    const id = await created({ start: false, runtimeType: 'HyperV' });
    host.failing.add('startContainer');
    await world.begin(id, 'start');
    await world.settle();
    expect((await world.container(id))?.ranAs).toEqual(['HyperV']);
  });
});
