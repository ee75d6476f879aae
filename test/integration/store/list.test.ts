import { randomBytes } from 'node:crypto';
import { BatchWriteItemCommand } from '@aws-sdk/client-dynamodb';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { listContainers } from '../../../store/container-list.ts';
import { containerItem } from '../../../store/containers.ts';
import { type Cursors, createCursors } from '../../../store/cursor.ts';
import { imageItem, listImages } from '../../../store/images.ts';
import type { Item } from '../../../store/item.ts';
import { keys } from '../../../store/keys.ts';
import type { ListPage, ListRequest } from '../../../store/list.ts';
import { listOperations, operationItem } from '../../../store/operations.ts';
import { keyItem } from '../../../store/table.ts';
import { type Engine, type EngineTable, startEngine } from '../../helpers/dynoxide.ts';
import { sequence } from '../../helpers/random-sequence.ts';
import { containerRecord, imageRecord, operationRecord, TENANT, testId } from '../../helpers/records.ts';

let engine: Engine;
let opened: EngineTable;
let cursors: Cursors;
beforeAll(async () => {
  engine = await startEngine();
});
afterAll(() => engine.stop());
beforeEach(async () => {
  opened = await engine.table();
  cursors = createCursors(opened.table, randomBytes);
});

const put = async (items: readonly Item[]): Promise<void> => {
  for (let at = 0; at < items.length; at += 25) {
    const puts = items.slice(at, at + 25).map((Item) => ({ PutRequest: { Item } }));
    await engine.client.send(new BatchWriteItemCommand({ RequestItems: { [opened.name]: puts } }));
  }
};

const nameOf = (number: number): string => `web-${String(number).padStart(4, '0')}`;
const containers = (count: number, env?: (number: number) => Record<string, string> | undefined) =>
  Array.from({ length: count }, (_, number) => {
    const { spec } = containerRecord('Running').view;
    const variables = env?.(number);
    return containerItem({
      ...containerRecord('Running'),
      id: testId(number),
      view: {
        ...containerRecord('Running').view,
        name: nameOf(number),
        spec: { ...spec, ...(variables && { env: variables }) },
      },
    });
  });

/** Every page, each with another limit. */
const readAll = async <T>(
  read: (request: ListRequest) => Promise<ListPage<T>>,
  limit: () => number,
): Promise<T[]> => {
  const found: T[] = [];
  for (let cursor: string | undefined; ; ) {
    const page = await read({ limit: limit(), cursor });
    found.push(...page.items);
    if (page.nextCursor === null) return found;
    cursor = page.nextCursor;
  }
};

describe('a list that is read in several shards', () => {
  const random = sequence(7);
  const limit = () => 1 + Math.floor(random() * 40);

  test('has all containers once, in the order of names', async () => {
    await put(containers(300));
    const read = (request: ListRequest) =>
      listContainers(opened.table, cursors, TENANT, { labels: [] }, request);
    const found = await readAll(read, limit);
    expect(found.map(({ view }) => view.name)).toEqual(Array.from({ length: 300 }, (_, at) => nameOf(at)));
  });

  test('continues after the last item of a page if that is removed', async () => {
    await put(containers(20));
    const read = (cursor?: string) =>
      listContainers(opened.table, cursors, TENANT, { labels: [] }, { limit: 10, cursor });
    const first = await read();
    await opened.table.remove({ Key: keyItem(keys.container(TENANT, testId(9))) });
    const second = await read(first.nextCursor ?? '');
    expect(second.items.map(({ view }) => view.name)).toEqual(
      Array.from({ length: 10 }, (_, at) => nameOf(10 + at)),
    );
    expect(second.nextCursor).toBeNull();
  });

  test('finds the few items that match a filter', async () => {
    const items = containers(300);
    const marked = [3, 150, 299].map((number) => {
      const record = containerRecord('Running');
      const view = { ...record.view, name: nameOf(number), labels: { rare: 'yes' } };
      return containerItem({ ...record, id: testId(number), view });
    });
    await put([...items, ...marked]);
    const read = (request: ListRequest) =>
      listContainers(opened.table, cursors, TENANT, { labels: [['rare', 'yes']] }, request);
    const found = await readAll(read, limit);
    expect(found.map(({ view }) => view.name)).toEqual([nameOf(3), nameOf(150), nameOf(299)]);
  });

  test('has all operations once, newest first', async () => {
    const times = Array.from({ length: 200 }, (_, at) => new Date(1_795_000_000_000 + at * 10).toISOString());
    await put(
      times.map((createdAt, at) => {
        const record = operationRecord(at);
        return operationItem({ ...record, view: { ...record.view, createdAt } });
      }),
    );
    const found = await readAll(
      (request) => listOperations(opened.table, cursors, TENANT, {}, request),
      limit,
    );
    expect(found.map(({ view }) => view.createdAt)).toEqual([...times].reverse());
  });
});

describe('read units of a page of 50', () => {
  const cost = async (read: (request: ListRequest) => Promise<ListPage<unknown>>) => {
    await cursors.sign({ tenant: TENANT, list: '', filters: {} }, { after: null, part: 0 });
    opened.consumed.reset();
    const { items } = await read({ limit: 50, cursor: undefined });
    return { items: items.length, units: opened.consumed.total() };
  };

  test('containers, of which 17 have 4 KB of environment: at most 4', async () => {
    const env = (number: number) =>
      number % 3 === 0 ? { SECRET: randomBytes(2048).toString('hex') } : undefined;
    await put(containers(200, env));
    const found = await cost((request) =>
      listContainers(opened.table, cursors, TENANT, { labels: [] }, request),
    );
    expect(found.items).toBe(50);
    expect(found.units).toBeLessThanOrEqual(4);
  });

  test('operations: at most 4', async () => {
    await put(Array.from({ length: 200 }, (_, at) => operationItem(operationRecord(at))));
    const found = await cost((request) => listOperations(opened.table, cursors, TENANT, {}, request));
    expect(found.items).toBe(50);
    expect(found.units).toBeLessThanOrEqual(4);
  });

  test('images: at most 4', async () => {
    await put(Array.from({ length: 100 }, (_, at) => imageItem(imageRecord(`image-${at}`))));
    const found = await cost((request) => listImages(opened.table, cursors, TENANT, request));
    expect(found.items).toBe(50);
    expect(found.units).toBeLessThanOrEqual(4);
  });

  test('containers with a label that none has: at most 6, without items', async () => {
    await put(containers(300));
    const found = await cost((request) =>
      listContainers(opened.table, cursors, TENANT, { labels: [['none', 'x']] }, request),
    );
    expect(found.items).toBe(0);
    expect(found.units).toBeLessThanOrEqual(6);
  });
});
