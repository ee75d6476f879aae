import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { RuntimeType } from '../../../core/contract/primitives.ts';
import type { Item } from '../../../store/item.ts';
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

test.each<RuntimeType>(['Default', 'HyperV'])(
  'the partitions that all creates of a %s container of a tenant write, and its host’s messages, are as recorded',
  async (runtimeType) => {
    const { world, call, count, stop, tableName } = await openCountedWorld(engine);
    const stream = await openStream(engine.endpoint, tableName);
    const create = async (at: number) => {
      const host = await world.addHost();
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
      return { units: partitionUnits(changes), invoked: moves.invoked };
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
