import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { LEGACY_DISK_MB } from '../../../core/contract/primitives.ts';
import { diskFor } from '../../../core/domain/capacity.ts';
import { toHost } from '../../../functions/shared/http/resources.ts';
import type { Item } from '../../../store/item.ts';
import { keys } from '../../../store/keys.ts';
import { FACTS, openWorld, type World } from '../../helpers/control-plane-world.ts';
import { type Engine, startEngine } from '../../helpers/dynoxide.ts';
import { TENANT } from '../../helpers/records.ts';

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

/** Changes a stored item as an earlier version would have written it. */
const rewrite = async (item: Item | undefined, change: (item: Item) => void): Promise<void> => {
  if (item === undefined) throw new TypeError('no such item');
  const copy = structuredClone(item);
  change(copy);
  await world.table.put({ Item: copy });
};
const member = (item: Item | undefined, ...path: string[]): Item => {
  let inside = item as Item;
  for (const name of path) inside = inside[name]?.M as Item;
  return inside;
};

describe('disk as capacity', () => {
  test('a container that is off holds its disk: the next waits for it, and is told so', async () => {
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

  test('it is given back once, when the container is removed', async () => {
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

  test('a host whose agent says nothing of its disk gets no containers', async () => {
    const host = await connected(0);
    const { operationId } = await world.create();
    await world.settle();
    expect((await world.operation(operationId)).view.reason).toContain('0 MiB of disk free');
    expect(host.containers.size).toBe(0);
  });
});

describe('records from before disks were counted', () => {
  test('a host: offers nothing until its agent says what it has, then all of that', async () => {
    const host = await world.addHost(withDisk(5000));
    await rewrite(await world.hostItem(host.hostId), (item) => {
      delete member(item, 'free').diskMB;
      delete member(item, 'view', 'facts', 'capacity').diskMB;
    });
    const old = await world.host(host.hostId);
    expect(toHost(old, undefined, new Date(), 60)).toMatchObject({
      capacity: { diskMB: 0 },
      allocated: { diskMB: 0 },
    });
    await world.connect(host);
    await world.settle();
    expect((await world.host(host.hostId)).free.diskMB).toBe(5000);
  });

  test('a container: keeps the layer that it has, holds no disk, and gives none back', async () => {
    const host = await connected(5000);
    const { id } = await world.create({ diskMB: 2000 });
    await world.settle();
    await rewrite(await world.table.get(keys.container(TENANT, id), { consistent: true }), (item) => {
      delete item.heldDiskMB;
      delete member(item, 'view', 'spec', 'resources').diskMB;
    });
    await rewrite(await world.hostItem(host.hostId), (item) => {
      member(item, 'free').diskMB = { N: '5000' };
    });
    expect(await world.container(id)).toMatchObject({
      heldDiskMB: 0,
      view: { spec: { resources: { diskMB: LEGACY_DISK_MB } } },
    });
    await world.begin(id, 'restart');
    await world.settle();
    expect((await world.container(id))?.view.state).toBe('Running');
    await world.begin(id, 'remove');
    await world.settle();
    expect((await world.host(host.hostId)).free).toEqual({ ...FACTS.capacity, diskMB: 5000 });
  });
});
