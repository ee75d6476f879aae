import { BatchWriteItemCommand } from '@aws-sdk/client-dynamodb';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { ContainerState } from '../../../core/contract/container.ts';
import { containerItem } from '../../../store/containers.ts';
import type { Item } from '../../../store/item.ts';
import { type Api, createApi } from '../../helpers/api.ts';
import { type Engine, type EngineTable, startEngine } from '../../helpers/dynoxide.ts';
import { containerRecord } from '../../helpers/records.ts';
import { scaled } from '../../helpers/scaled.ts';

let engine: Engine;
beforeAll(async () => {
  engine = await startEngine();
});
afterAll(() => engine.stop());

const writeAll = async ({ name }: EngineTable, items: readonly Item[]): Promise<void> => {
  for (let at = 0; at < items.length; at += 25) {
    const requests = items.slice(at, at + 25).map((Item) => ({ PutRequest: { Item } }));
    await engine.client.send(new BatchWriteItemCommand({ RequestItems: { [name]: requests } }));
  }
};

interface Given {
  readonly state?: ContainerState;
  readonly type?: 'Default' | 'HyperV';
  readonly image?: string;
  readonly labels?: Record<string, string>;
  readonly tenant?: string;
}
const item = (
  number: number,
  { state = 'Off', type = 'Default', image = 'mini', labels = {}, tenant }: Given = {},
) => {
  const record = containerRecord(state, {
    number,
    ...(tenant !== undefined && { tenant }),
    view: { name: `c-${String(number).padStart(6, '0')}`, runtimeType: type, labels },
  });
  return containerItem({ ...record, view: { ...record.view, spec: { ...record.view.spec, image } } });
};

/** Names of the containers of every page, from the first to the last. */
const walk = async (api: Api, query: string): Promise<string[][]> => {
  const pages: string[][] = [];
  for (let cursor = ''; ; ) {
    const { status, body } = await api.call('listContainers', { query: `${query}${cursor}` });
    expect(status).toBe(200);
    pages.push(body.items.map(({ name }: { name: string }) => name));
    if (body.nextCursor === null) return pages;
    cursor = `&cursor=${body.nextCursor}`;
  }
};

describe('filters', () => {
  const types = ['Default', 'HyperV'] as const;
  const states = ['Off', 'Running', 'Failed'] as const;
  const all = Array.from({ length: 120 }, (_, number) => ({
    number,
    type: types[number % 2] ?? 'Default',
    state: states[number % 3] ?? 'Off',
    image: number % 5 === 0 ? 'Rare' : 'mini',
    labels: { parity: String(number % 2), ...(number % 40 === 0 ? { rare: 'yes' } : {}) },
  }));
  let api: Api;
  beforeAll(async () => {
    const made = await engine.table();
    await writeAll(
      made,
      all.map(({ number, ...given }) => item(number, given)),
    );
    api = createApi(made.table);
  });
  const named = (matching: (typeof all)[number][]) =>
    matching.map(({ number }) => `c-${String(number).padStart(6, '0')}`).sort();

  const cases: [string, (one: (typeof all)[number]) => boolean][] = [
    ['', () => true],
    ['runtimeType=HYPERV', ({ type }) => type === 'HyperV'],
    ['runtimeType=HyperV&state=Running', ({ type, state }) => type === 'HyperV' && state === 'Running'],
    ['state=Failed', ({ state }) => state === 'Failed'],
    ['image=RARE', ({ image }) => image === 'Rare'],
    [
      'image=rare&state=Off&runtimeType=default',
      ({ image, state, type }) => image === 'Rare' && state === 'Off' && type === 'Default',
    ],
    ['label=rare=yes', ({ labels }) => labels.rare === 'yes'],
    ['label=rare=yes&label=parity=0', ({ labels }) => labels.rare === 'yes' && labels.parity === '0'],
    ['label=parity=1&state=Running', ({ labels, state }) => labels.parity === '1' && state === 'Running'],
    ['label=toString=x', () => false],
    ['hostId=00000000-0000-4000-9000-000000000900&state=Off', ({ state }) => state === 'Off'],
    ['hostId=00000000-0000-4000-9000-000000000901', () => false],
  ];
  test.each(cases)('"%s" returns each match once for every page size', async (filter, matches) => {
    for (const limit of [1, 7, 50, 200]) {
      const pages = await walk(api, `limit=${limit}&${filter}`);
      expect(pages.flat().sort()).toEqual(named(all.filter(matches)));
      expect(Math.max(...pages.map((page) => page.length))).toBeLessThanOrEqual(limit);
    }
  });

  test('a cursor is valid only for its own list', async () => {
    const { nextCursor } = (await api.call('listContainers', { query: 'limit=1&state=Off' })).body;
    const refusal = async (operationId: string, query: string, claims = {}) => {
      const { status, body } = await api.call(operationId, { query, claims });
      return [status, body.code];
    };
    const invalid = [400, 'cursor-invalid'];
    expect(await refusal('listContainers', `state=Failed&cursor=${nextCursor}`)).toEqual(invalid);
    expect(await refusal('listContainers', `cursor=${nextCursor}`)).toEqual(invalid);
    expect(await refusal('listContainers', `state=Off&cursor=${nextCursor}`, { tenant: 'umbrella' })).toEqual(
      invalid,
    );
    expect(await refusal('listOperations', `cursor=${nextCursor}`)).toEqual(invalid);
    const [position = '', signature = ''] = nextCursor.split('.');
    const forged = Buffer.from(JSON.stringify([{ pk: 'T#umbrella#C#x', sk: 'C' }, 0])).toString('base64url');
    const flipped = `${signature.slice(0, -2)}${signature.endsWith('AA') ? 'BB' : 'AA'}`;
    for (const cursor of [`${forged}.${signature}`, `${position}.${flipped}`, `${position}.A`])
      expect(await refusal('listContainers', `state=Off&cursor=${cursor}`)).toEqual(invalid);
  });

  test('a cursor is valid in another process, which signs with the same key', async () => {
    const made = await engine.table();
    await writeAll(made, [item(1), item(2)]);
    const [one, two] = [createApi(made.table), createApi(made.table)];
    const { nextCursor } = (await one.call('listContainers', { query: 'limit=1' })).body;
    expect((await two.call('listContainers', { query: `limit=1&cursor=${nextCursor}` })).status).toBe(200);
  });
});

test('a filter with few matches returns short pages at a bounded cost', async () => {
  const made = await engine.table();
  await writeAll(
    made,
    Array.from({ length: 2_000 }, (_, number) =>
      item(number, { labels: number === 1_900 ? { rare: 'yes' } : {} }),
    ),
  );
  const api = createApi(made.table);
  await api.call('listContainers');
  made.consumed.reset();
  const first = await api.call('listContainers', { query: 'label=rare=yes' });
  // One query for each shard of the list.
  expect([first.body.items.length, made.consumed.calls().length]).toEqual([0, 2]);
  expect(made.consumed.total()).toBeLessThanOrEqual(6);
  expect((await walk(api, 'label=rare=yes')).flat()).toEqual(['c-001900']);
});

const COUNT = scaled({ ci: 10_000, whole: 100_000 });
/** Number of items to write at a time, because all together would need hundreds of megabytes. */
const BATCH = 5_000;

describe(`of ${COUNT} containers`, () => {
  test('the first page, one in the middle and the last cost the same', async () => {
    const made = await engine.table();
    for (let at = 0; at < COUNT; at += BATCH)
      await writeAll(
        made,
        Array.from({ length: BATCH }, (_, number) => item(at + number)),
      );
    const api = createApi(made.table);
    await api.call('listContainers');
    const costs: number[] = [];
    for (let cursor = '', page = 0; page < COUNT / 200; page += 1) {
      made.consumed.reset();
      const { body } = await api.call('listContainers', { query: `limit=200${cursor}` });
      expect(body.items).toHaveLength(200);
      costs.push(made.consumed.total());
      cursor = `&cursor=${body.nextCursor}`;
    }
    // Items are not shared out evenly among the shards of the list, so that a page can take another query.
    expect(Math.max(...costs) - Math.min(...costs)).toBeLessThanOrEqual(2);
    const mean = (pages: readonly number[]) => pages.reduce((sum, one) => sum + one, 0) / pages.length;
    const part = Math.ceil(costs.length / 5);
    expect(Math.abs(mean(costs.slice(0, part)) - mean(costs.slice(-part)))).toBeLessThanOrEqual(1);
    made.consumed.reset();
    await api.call('listContainers');
    // 50 index entries with about 500 bytes each, at half a unit per 4 KB.
    expect(made.consumed.total()).toBeLessThanOrEqual(4);
    // One for each shard.
    expect(made.consumed.calls().map(({ operation }) => operation)).toEqual(['Query', 'Query']);
  }, 600_000);
});
