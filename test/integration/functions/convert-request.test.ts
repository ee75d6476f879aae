import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { CONTAINER_STATES, type ContainerState } from '../../../core/contract/container.ts';
import { AcceptedSchema, DryRunSchema } from '../../../core/contract/http/routes.ts';
import { type ContainerRecord, containerItem } from '../../../store/containers.ts';
import { hostItem } from '../../../store/hosts.ts';
import { imageItem } from '../../../store/images.ts';
import { createItem } from '../../../store/item-format.ts';
import { keys } from '../../../store/keys.ts';
import { parseOperation } from '../../../store/operations.ts';
import { createApi } from '../../helpers/api.ts';
import { type Engine, startEngine } from '../../helpers/dynoxide.ts';
import { containerRecord, hostRecord, imageRecord, TENANT, testId } from '../../helpers/records.ts';

let engine: Engine;
beforeAll(async () => {
  engine = await startEngine();
});
afterAll(() => engine.stop());

const params = { idOrName: testId(1) };
const windows = (sku: string) => ({ family: 'windows' as const, sku, version: '10.0.14393', build: 14393 });
const both: ('Default' | 'HyperV')[] = ['Default', 'HyperV'];

interface Ground {
  readonly sku?: string;
  readonly runtimeConversion?: 'inPlace' | 'recreate' | 'none';
  readonly free?: { memoryMB: number; cpus: number };
}

const setUp = async (container: ContainerRecord, given: Ground = {}) => {
  const { table } = await engine.table();
  const { sku = 'NanoServer', runtimeConversion = 'inPlace' } = given;
  const { view, ...rest } = hostRecord(900);
  const capabilities = { runtimeTypes: both, runtimeConversion };
  const host = { ...rest, view: { ...view, facts: { ...view.facts, os: windows(sku), capabilities } } };
  await table.put({ Item: containerItem(container) });
  await table.put({ Item: hostItem({ ...host, free: { ...host.free, ...given.free } }) });
  await table.put({ Item: imageItem(imageRecord('NanoServer')) });
  const api = createApi(table);
  const convert = (body: object, given = {}) => api.call('updateContainer', { params, body, ...given });
  return { ...api, table, convert };
};

const running = (rest: Partial<ContainerRecord> = {}, view: Partial<ContainerRecord['view']> = {}) =>
  containerRecord('Running', { rest: { reservation: { memoryMB: 128, cpus: 1 }, ...rest }, view });

describe('a change of the runtime type', () => {
  test('is an operation on the container, and the other requested changes apply immediately', async () => {
    const { convert, outside, table } = await setUp(running());
    const answer = await convert({ runtimeType: 'hyperv', labels: { a: 'b' } });
    expect(answer.status).toBe(202);
    const { container, operation } = AcceptedSchema.parse(answer.body);
    expect(container).toMatchObject({
      state: 'Converting',
      runtimeType: 'Default',
      labels: { a: 'b' },
      activeOperationId: operation.id,
    });
    expect(operation).toMatchObject({
      kind: 'convert',
      state: 'Pending',
      conversion: { from: 'Default', to: 'HyperV', downtimeMs: null },
    });
    expect(answer.headers.location).toBe(`/v1/operations/${operation.id}`);
    expect(outside.started.map(({ id, machine }) => [id, machine])).toEqual([[operation.id, 'convert']]);
    const kept = await table.get(keys.operation(TENANT, operation.id));
    expect(kept && parseOperation(kept).parameters).toMatchObject({ runtimeType: 'HyperV' });
  });

  test('to the current type changes nothing, even during another operation', async () => {
    const { convert, outside } = await setUp(
      running({}, { activeOperationId: testId(5), state: 'Stopping' }),
    );
    const same = await convert({ runtimeType: 'DEFAULT' });
    expect([same.status, same.body.revision, outside.started]).toEqual([200, 3, []]);
  });

  test('during a conversion is refused, or returns that conversion', async () => {
    const { convert } = await setUp(running());
    const { operation } = AcceptedSchema.parse((await convert({ runtimeType: 'HyperV' })).body);
    for (const runtimeType of both) {
      const again = await convert({ runtimeType });
      expect([again.status, again.body.code, again.body.context]).toEqual([
        409,
        'operation-in-progress',
        { operationId: operation.id },
      ]);
    }
  });

  test('with the same Idempotency-Key returns the same conversion', async () => {
    const { convert, outside } = await setUp(running());
    const headers = { 'idempotency-key': 'k' };
    const first = await convert({ runtimeType: 'HyperV' }, { headers });
    const second = await convert({ runtimeType: 'HyperV' }, { headers });
    expect(second.body).toEqual(first.body);
    expect(outside.started).toHaveLength(1);
  });

  test.each(CONTAINER_STATES.filter((state) => !['Off', 'Running'].includes(state)))(
    'of one that is %s and has no operation is refused',
    async (state: ContainerState) => {
      const { convert } = await setUp(containerRecord(state));
      const answer = await convert({ runtimeType: 'HyperV' });
      expect([answer.status, answer.body.code, answer.body.context]).toEqual([
        409,
        'invalid-state',
        { state },
      ]);
    },
  );
});

describe('the rules of conversion', () => {
  test.each(['ServerCore', 'Datacenter'])(
    'a Windows %s host refuses, with the name of its system',
    async (sku) => {
      for (const runtimeConversion of ['none', 'inPlace'] as const) {
        const { convert, call } = await setUp(running(), { sku, runtimeConversion });
        const { status, body } = await convert({ runtimeType: 'HyperV' });
        expect([status, body.code]).toEqual([409, 'runtime-conversion-unsupported']);
        expect(body.detail).toContain(`windows ${sku} 10.0.14393`);
        expect((await call('getContainer', { params })).body).toMatchObject({
          state: 'Running',
          revision: 3,
        });
      }
    },
  );

  test('a host that can recreate suggests it, and recreating is refused with its own error code', async () => {
    const { convert } = await setUp(running(), { runtimeConversion: 'recreate' });
    const inPlace = await convert({ runtimeType: 'HyperV' });
    expect([inPlace.status, inPlace.body.code]).toEqual([409, 'runtime-conversion-unsupported']);
    expect(inPlace.body.suggestion).toContain('recreate');
    const recreate = await convert({ runtimeType: 'HyperV', strategy: 'recreate' });
    expect([recreate.status, recreate.body.code]).toEqual([422, 'not-supported-yet']);
    expect(recreate.body.detail).toContain('"recreate"');
  });

  test('the host mounts a disk that code in a VM has written only if the caller accepts that', async () => {
    const inVm = running({ ranAs: ['HyperV'] }, { runtimeType: 'HyperV' });
    const refused = await setUp(inVm);
    const { status, body } = await refused.convert({ runtimeType: 'Default' });
    expect([status, body.code]).toEqual([409, 'untrusted-disk']);
    const accepted = await refused.convert({ runtimeType: 'Default', acceptUntrustedDisk: true });
    expect(accepted.status).toBe(202);
    const neverRan = await setUp(containerRecord('Off', { view: { runtimeType: 'HyperV' } }));
    expect((await neverRan.convert({ runtimeType: 'Default' })).status).toBe(202);
  });

  test('an image that the host cannot run as the new type is refused before anything stops', async () => {
    const { convert, table } = await setUp(containerRecord('Off', { view: { runtimeType: 'HyperV' } }));
    const old = imageRecord('NanoServer');
    await table.put({ Item: imageItem({ ...old, view: { ...old.view, osBuild: 10586 } }) });
    const { status, body } = await convert({ runtimeType: 'Default' });
    expect([status, body.code]).toEqual([409, 'image-incompatible']);
  });
});

describe('a dry run', () => {
  test('reports host, reservation, downtime and rollback, and changes nothing', async () => {
    const { convert, call, table, outside } = await setUp(running(), { free: { memoryMB: 10, cpus: 1 } });
    await table.put({
      Item: createItem('downtimes', keys.downtimes(TENANT, testId(900), 'HyperV'), {
        milliseconds: [90, 30, 60],
      }),
    });
    const answer = await convert({ runtimeType: 'HyperV' }, { query: 'dryRun=true' });
    expect(answer.status).toBe(200);
    const { conversion, wouldDo } = DryRunSchema.parse(answer.body);
    expect(wouldDo).toBe('convert container "container-1" from Default to HyperV');
    const overhead = (await call('getHost', { params: { id: testId(900) } })).body.utilityVmOverheadMB;
    const more = { memoryMB: 128 + overhead, cpus: 1 };
    expect(conversion).toEqual({
      from: 'Default',
      to: 'HyperV',
      hostId: testId(900),
      hostOs: 'windows NanoServer 10.0.14393',
      restarts: true,
      reservation: { now: { memoryMB: 128, cpus: 1 }, during: more, after: more },
      fits: false,
      expectedDowntime: { medianMs: 60, conversions: 3 },
      rollback: { onFailure: 'asItWasOrInVm', later: 'acceptUntrustedDisk' },
    });
    expect(outside.started).toEqual([]);
    expect((await call('getContainer', { params })).body.revision).toBe(3);
  });

  test('of a container that is off has no reservation and stops nothing', async () => {
    const { convert } = await setUp(containerRecord('Off'));
    const answer = await convert({ runtimeType: 'HyperV' }, { query: 'dryRun=true' });
    expect(DryRunSchema.parse(answer.body).conversion).toMatchObject({
      restarts: false,
      reservation: { now: null, during: null, after: null },
      fits: true,
      expectedDowntime: null,
      rollback: { onFailure: 'asItWas', later: 'convert' },
    });
  });

  test('is refused for the same reasons as the conversion', async () => {
    const { convert } = await setUp(running(), { sku: 'ServerCore', runtimeConversion: 'none' });
    const answer = await convert({ runtimeType: 'HyperV' }, { query: 'dryRun=true' });
    expect(answer.body.code).toBe('runtime-conversion-unsupported');
  });
});
