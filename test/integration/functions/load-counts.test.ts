import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { RuntimeType } from '../../../core/contract/primitives.ts';
import type { Item } from '../../../store/item.ts';
import { LIST_SHARDS } from '../../../store/keys.ts';
import { openCountedWorld, openStream } from '../../helpers/counted-world.ts';
import { type Engine, startEngine } from '../../helpers/dynoxide.ts';
import { partitionUnits } from '../../helpers/hot-partitions.ts';

let engine: Engine;
beforeAll(async () => {
  engine = await startEngine();
});
afterAll(() => engine.stop());

/** What creates with start of one tenant have in common, which limits their number. `npm run docs` reads it. */
const RECORDED = JSON.parse(
  readFileSync(new URL('../../../bench/load-counts.json', import.meta.url), 'utf8'),
) as Readonly<Record<RuntimeType, unknown>>;

/** The units of each shard of a list: creates are shared out among them. */
const inOneShard = (units: ReadonlyMap<string, number>): ReadonlyMap<string, number> =>
  new Map(
    [...units].map(([key, one]) => {
      const list = /^(.*@)\d$/.exec(key)?.[1];
      return list === undefined ? [key, one] : [`${list}shard`, one / LIST_SHARDS];
    }),
  );

test.each<RuntimeType>(['Default', 'HyperV'])(
  'the partitions that all creates of a %s container of a tenant write, and its host’s messages, are as recorded',
  async (runtimeType) => {
    const { world, call, count, stop, tableName } = await openCountedWorld(engine);
    const stream = await openStream(engine.endpoint, tableName);
    const create = async (at: number) => {
      // No reservation moves the host to another class of free memory, as on most hosts.
      const host = await world.addHost({ capacity: { memoryMB: 6_000, cpus: 8, diskMB: 1_048_576 } });
      await world.connect(host);
      await world.settle();
      await stream.read();
      const moves = await count(async () => {
        const body = { image: 'mini', runtimeType, start: true, command: ['sleep', '600'] };
        const headers = { 'idempotency-key': `key-${at}` };
        expect(await call('createContainer', { body, headers })).toMatchObject({ status: 202 });
      });
      const changes = (await stream.read()).map(({ dynamodb }) => {
        const { OldImage, NewImage } = dynamodb as { OldImage?: Item; NewImage?: Item };
        return { before: OldImage, after: NewImage };
      });
      world.cut(host);
      return { units: inOneShard(partitionUnits(changes)), invoked: moves.invoked };
    };
    const [first, second] = [await create(1), await create(2)];
    stop();
    await stream.close();
    // Under load, events of many creates are one entry of their log.
    const shared = [...second.units].filter(([key]) => first.units.has(key) && !key.endsWith('#E'));
    expect({
      hostMessages: second.invoked.filter((name) => name === 'host-message').length,
      partitions: Object.fromEntries(shared.sort(([a], [b]) => a.localeCompare(b))),
    }).toEqual(RECORDED[runtimeType]);
  },
);
