import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { AcceptedSchema } from '../../../core/contract/http/routes.ts';
import { createHandler } from '../../../functions/create-container/handler.ts';
import { createHandler as createReadHandler } from '../../../functions/read-containers/handler.ts';
import { imageItem } from '../../../store/put.ts';
import type { OperationRecord } from '../../../store/records.ts';
import { type Engine, startEngine } from '../../helpers/dynoxide.ts';
import { call, testDependencies } from '../../helpers/http-function.ts';
import { imageRecord } from '../../helpers/records.ts';

let engine: Engine;
beforeAll(async () => {
  engine = await startEngine();
});
afterAll(() => engine.stop());

const setUp = async () => {
  const { table, consumed } = await engine.table();
  await table.put({ Item: imageItem(imageRecord('NanoServer')) });
  const dependencies = testDependencies(table);
  const started: OperationRecord[] = [];
  const startWorkflow = async (operation: OperationRecord) => {
    started.push(operation);
    return 'started' as const;
  };
  consumed.reset();
  return {
    table,
    consumed,
    started,
    dependencies,
    create: createHandler({ ...dependencies, table, startWorkflow }),
    read: createReadHandler({ ...dependencies, table }),
  };
};

const DEMO = { name: 'DEMO', image: 'nanoserver', switchName: 'NAT' };

describe('create', () => {
  test('accepts a container, and starts the machine of its kind', async () => {
    const { create, started } = await setUp();
    const answer = await call(create, 'createContainer', {
      body: { ...DEMO, runtimeType: 'hyperv', start: true },
    });
    expect(answer.status).toBe(202);
    const { container, operation } = AcceptedSchema.parse(answer.body);
    expect(container).toMatchObject({ name: 'DEMO', runtimeType: 'HyperV', state: 'Starting', revision: 1 });
    expect(operation).toMatchObject({ kind: 'create', state: 'Pending', containerId: container.id });
    expect(answer.headers).toMatchObject({ location: `/v1/operations/${operation.id}`, etag: '"1"' });
    expect(started.map(({ id, machine }) => [id, machine])).toEqual([[operation.id, 'provision-utility-vm']]);
  });

  test('is read, by id and by name, as soon as it is answered', async () => {
    const { create, read } = await setUp();
    const created = await call(create, 'createContainer', { body: DEMO });
    for (const idOrName of [created.body.container.id, created.body.container.id.toUpperCase(), 'DEMO']) {
      const got = await call(read, 'getContainer', { params: { idOrName } });
      expect([got.status, got.body]).toEqual([200, created.body.container]);
    }
    const list = await call(read, 'listContainers', { query: 'runtimeType=DEFAULT&label=a=b' });
    expect(list.body).toEqual({ items: [], nextCursor: null });
  });

  test('units', async () => {
    const { create, read, consumed, dependencies } = await setUp();
    const created = await call(create, 'createContainer', {
      body: { ...DEMO, start: true },
      headers: { 'idempotency-key': 'k1' },
    });
    console.log(created.text, dependencies.lines, consumed.calls());
    consumed.reset();
    await call(read, 'getContainer', { params: { idOrName: created.body.container.id } });
    console.log(consumed.calls());
  });
});
