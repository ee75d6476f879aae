import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { diskFor } from '../../../core/domain/capacity.ts';
import { FACTS, openWorld, type World } from '../../helpers/control-plane-world.ts';
import { type Engine, startEngine } from '../../helpers/dynoxide.ts';

let engine: Engine;
let world: World;

beforeAll(async () => {
  engine = await startEngine();
});
afterAll(() => engine.stop());
beforeEach(async () => {
  world = openWorld(await engine.table());
});

const withDisk = (diskMB: number) => ({ capacity: { ...FACTS.capacity, diskMB } });
const connected = async (diskMB: number) => {
  const host = await world.addHost(withDisk(diskMB));
  await world.connect(host);
  await world.settle();
  return host;
};

describe('disk as capacity', () => {
  test('a container that is off keeps its disk, so that the next one waits with a reason', async () => {
    const host = await connected(3000);
    const first = await world.create({ start: false, diskMB: 2000 });
    await world.settle();
    expect(await world.container(first.id)).toMatchObject({
      reservation: null,
      heldDiskMB: diskFor({ diskMB: 2000 }),
      view: { state: 'Off', hostId: host.hostId },
    });
    const second = await world.create({ diskMB: 2000 });
    await world.settle();
    expect((await world.operation(second.operationId)).view.reason).toContain(
      `needs 128 MiB, 0.5 CPUs, ${diskFor({ diskMB: 2000 })} MiB of disk`,
    );
    expect((await world.host(host.hostId)).free).toEqual({ ...FACTS.capacity, diskMB: 3000 - 2016 });
  });

  test('is released once, when the container is removed', async () => {
    const host = await connected(3000);
    const { id } = await world.create({ diskMB: 2000 });
    await world.settle();
    await world.begin(id, 'stop');
    await world.settle();
    expect((await world.host(host.hostId)).free.diskMB).toBe(3000 - 2016);
    await world.begin(id, 'start');
    await world.settle();
    expect((await world.container(id))?.view.state).toBe('Running');
    expect((await world.host(host.hostId)).free.diskMB).toBe(3000 - 2016);
    await world.begin(id, 'remove');
    await world.settle(2);
    expect((await world.host(host.hostId)).free).toEqual({ ...FACTS.capacity, diskMB: 3000 });
  });

  test('a host whose agent reports no disk gets no containers', async () => {
    const host = await connected(0);
    const { operationId } = await world.create();
    await world.settle();
    expect((await world.operation(operationId)).view.reason).toContain('0 MiB of disk free');
    expect(host.containers.size).toBe(0);
  });
});
