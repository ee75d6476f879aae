import { generateKeyPairSync } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { ComputeProcessSchema } from '../../../core/contract/compute-process.ts';
import { EventSchema } from '../../../core/contract/event.ts';
import { HostSchema } from '../../../core/contract/host.ts';
import { ImageSchema } from '../../../core/contract/image.ts';
import { OperationSchema } from '../../../core/contract/operation.ts';
import { isEd25519PublicKey } from '../../../functions/host-enrollment/public-key.ts';
import { storeResult } from '../../../store/commands.ts';
import { containerItem } from '../../../store/containers.ts';
import { createEventLog } from '../../../store/event-log.ts';
import { hostItem } from '../../../store/hosts.ts';
import { imageItem, imageOnHostItem } from '../../../store/images.ts';
import { createItem } from '../../../store/item-format.ts';
import { keys } from '../../../store/keys.ts';
import { operationItem } from '../../../store/operations.ts';
import { keyItem } from '../../../store/table.ts';
import { createApi, WEBSOCKET_URL } from '../../helpers/api.ts';
import { type Engine, startEngine } from '../../helpers/dynoxide.ts';
import {
  containerRecord,
  hostFacts,
  hostRecord,
  imageRecord,
  operationRecord,
  TENANT,
  testId,
} from '../../helpers/records.ts';

let engine: Engine;
beforeAll(async () => {
  engine = await startEngine();
});
afterAll(() => engine.stop());

const setUp = async () => {
  const { table, consumed } = await engine.table();
  return { ...createApi(table), table, consumed };
};
type SetUp = Awaited<ReturnType<typeof setUp>>;

const addHost = async (
  { table, clock }: SetUp,
  number = 900,
  connectionId: string | null = 'connection-1',
) => {
  await table.put({ Item: hostItem(hostRecord(number)) });
  const link = { connectionId, lastSeenAt: clock.ms };
  await table.put({ Item: createItem('hostLink', keys.hostLink(TENANT, testId(number)), link) });
};
const host = { id: testId(900) };

describe('update of a container', () => {
  const params = { idOrName: testId(1) };

  test('labels and restart policy apply immediately, during any operation', async () => {
    const api = await setUp();
    const busy = containerRecord('Starting', { view: { activeOperationId: testId(5), labels: { a: 'b' } } });
    await api.table.put({ Item: containerItem(busy) });
    const body = { labels: { c: 'd' }, restartPolicy: { name: 'always' } };
    const answer = await api.call('updateContainer', { params, body, headers: { 'if-match': '"3"' } });
    expect([answer.status, answer.body.labels, answer.body.restartPolicy.name, answer.headers.etag]).toEqual([
      200,
      { c: 'd' },
      'always',
      '"4"',
    ]);
    expect((await api.call('getContainer', { params })).body).toEqual(answer.body);
    const stale = await api.call('updateContainer', { params, body, headers: { 'if-match': '"3"' } });
    expect(stale.status).toBe(412);
  });
});

describe('operations', () => {
  const params = { id: testId(50) };

  test('are listed newest first, all or those of one container, by state', async () => {
    const api = await setUp();
    for (const number of [51, 52, 53])
      await api.table.put({
        Item: operationItem(
          operationRecord(number, {
            createdAt: `2026-11-24T09:00:0${number - 50}.000Z`,
            containerId: testId(number === 53 ? 2 : 1),
            state: number === 52 ? 'Failed' : 'Running',
          }),
        ),
      });
    const ids = async (query: string) =>
      (await api.call('listOperations', { query })).body.items.map((one: { id: string }) => one.id);
    expect(await ids('')).toEqual([testId(53), testId(52), testId(51)]);
    expect(await ids(`containerId=${testId(1)}`)).toEqual([testId(52), testId(51)]);
    expect(await ids('state=Running')).toEqual([testId(53), testId(51)]);
    expect(await ids(`containerId=${testId(1)}&state=Running`)).toEqual([testId(51)]);
  });

  test('a wait ends when the operation ends', async () => {
    const api = await setUp();
    await api.table.put({ Item: operationItem(operationRecord(50)) });
    const waiting = api.call('getOperation', { params, query: 'waitSeconds=25' });
    const ended = operationRecord(50, { state: 'Succeeded', endedAt: '2026-11-24T10:00:00.000Z' });
    await api.table.put({ Item: operationItem(ended) });
    expect(OperationSchema.parse((await waiting).body).state).toBe('Succeeded');
  });

  test('a wait ends at the requested time, before the function’s time limit', async () => {
    const api = await setUp();
    await api.table.put({ Item: operationItem(operationRecord(50)) });
    const began = api.clock.ms;
    const answer = await api.call('getOperation', { params, query: 'waitSeconds=25' });
    expect([answer.status, answer.body.state, api.clock.ms - began]).toEqual([200, 'Running', 25_000]);
    expect(
      (await api.call('getOperation', { params: { id: testId(1) }, query: 'waitSeconds=25' })).status,
    ).toBe(404);
    expect((await api.call('getOperation', { params, query: 'waitSeconds=26' })).status).toBe(400);
  });

  test('are cancelled and woken if they wait; a repeat succeeds, and an ended one is a conflict', async () => {
    const api = await setUp();
    await api.table.put({ Item: operationItem(operationRecord(50, {}, { placeToken: 'token' })) });
    const dry = await api.call('cancelOperation', { params, query: 'dryRun=true' });
    expect([dry.body.wouldDo, api.outside.failedTasks]).toEqual([`cancel operation ${testId(50)}`, []]);
    const first = await api.call('cancelOperation', { params });
    expect([first.status, first.body.state]).toEqual([200, 'Cancelling']);
    expect(api.outside.failedTasks).toEqual([{ token: 'token', error: 'Bulkhead.Cancelled' }]);
    expect((await api.call('cancelOperation', { params })).body).toEqual(first.body);
    await api.table.put({ Item: operationItem(operationRecord(50, { state: 'Succeeded' })) });
    const late = await api.call('cancelOperation', { params });
    expect([late.status, late.body.code]).toEqual([409, 'operation-already-ended']);
  });
});

describe('hosts', () => {
  test('are listed and read with free capacity and connection state', async () => {
    const api = await setUp();
    await addHost(api);
    const list = await api.call('listHosts');
    expect(list.body.items.map((one: unknown) => HostSchema.parse(one).state)).toEqual(['Ready']);
    const one = await api.call('getHost', { params: host });
    expect([one.body, one.headers.etag]).toEqual([list.body.items[0], '"1"']);
    expect(one.body.allocated).toEqual({ memoryMB: 0, cpus: 0, diskMB: 0 });
    api.clock.ms += 181_000;
    expect((await api.call('getHost', { params: host })).body.state).toBe('Unknown');
  });

  test('that are drained get no containers until they are schedulable again', async () => {
    const api = await setUp();
    await addHost(api);
    const ready = async () =>
      (await api.table.query({ index: 'gsi2', key: { pk: `T#${TENANT}#HR#windows`, sk: '' } })).items.length;
    expect(await ready()).toBe(1);
    const drained = await api.call('drainHost', { params: host });
    expect(drained.body).toMatchObject({ schedulable: false, state: 'Draining', revision: 2 });
    expect((await api.call('getHost', { params: host })).body).toEqual(drained.body);
    expect(await ready()).toBe(0);
    const body = { schedulable: true, labels: { rack: 'r1' } };
    const back = await api.call('updateHost', { params: host, body, headers: { 'if-match': '"2"' } });
    expect(back.body).toMatchObject({ schedulable: true, state: 'Ready', labels: { rack: 'r1' } });
    expect(await ready()).toBe(1);
    expect((await api.call('drainHost', { params: host, headers: { 'if-match': '"2"' } })).status).toBe(412);
  });

  test('a change does not overwrite concurrent reservations', async () => {
    const api = await setUp();
    await addHost(api);
    const take = api.table.update({
      Key: keyItem(keys.host(TENANT, host.id)),
      UpdateExpression: 'SET #free.#memory = #free.#memory - :m',
      ExpressionAttributeNames: { '#free': 'free', '#memory': 'memoryMB' },
      ExpressionAttributeValues: { ':m': { N: '1024' } },
    });
    await Promise.all([take, api.call('updateHost', { params: host, body: { labels: { a: 'b' } } })]);
    const { allocated, labels } = (await api.call('getHost', { params: host })).body;
    expect([allocated.memoryMB, labels]).toEqual([1024, { a: 'b' }]);
  });

  test('with containers cannot be removed and stay unchanged', async () => {
    const api = await setUp();
    await addHost(api);
    await api.table.put({ Item: containerItem(containerRecord('Off')) });
    for (const query of ['', 'dryRun=true']) {
      const answer = await api.call('removeHost', { params: host, query });
      expect([answer.status, answer.body.code]).toEqual([409, 'host-in-use']);
    }
    expect((await api.call('getHost', { params: host })).body).toMatchObject({
      schedulable: true,
      state: 'Ready',
      revision: 1,
    });
  });

  test('without containers are removed with link, images and connection', async () => {
    const api = await setUp();
    await addHost(api);
    await api.table.put({ Item: imageItem(imageRecord('mini')) });
    await api.table.put({ Item: imageOnHostItem(TENANT, imageRecord('mini').view, host.id) });
    expect((await api.call('removeHost', { params: host })).status).toBe(204);
    expect((await api.call('getHost', { params: host })).status).toBe(404);
    expect((await api.call('getImage', { params: { name: 'mini' } })).body.hosts).toEqual([]);
    expect(await api.table.get(keys.hostLink(TENANT, host.id))).toBeUndefined();
    expect(api.outside.closed).toEqual(['connection-1']);
  });
});

describe('enrollment', () => {
  const publicKey = generateKeyPairSync('ed25519').publicKey.export({ format: 'jwk' }).x ?? '';
  const enrollment = (token: string) => ({
    token,
    name: 'rack-7',
    publicKey,
    agentVersion: '1.0.0',
    facts: hostFacts(),
  });

  test('a token enrolls one host once', async () => {
    const api = await setUp();
    const made = await api.call('createEnrollmentToken', { body: { labels: { rack: 'r7' } } });
    expect([made.status, made.body.expiresAt]).toEqual([201, '2026-11-24T10:15:00.000Z']);
    const body = enrollment(made.body.token);
    const attempts = await Promise.all(
      Array.from({ length: 10 }, () => api.call('enrollHost', { claims: null, body })),
    );
    const enrolled = attempts.filter(({ status }) => status === 201);
    expect(enrolled.map(({ body: { tenant, webSocketUrl } }) => [tenant, webSocketUrl])).toEqual([
      [TENANT, WEBSOCKET_URL],
    ]);
    expect(attempts.filter(({ body: { code } }) => code === 'enrollment-token-invalid')).toHaveLength(9);
    const added = (await api.call('getHost', { params: { id: enrolled[0]?.body.hostId } })).body;
    expect(HostSchema.parse(added)).toMatchObject({
      name: 'rack-7',
      labels: { rack: 'r7' },
      state: 'Unknown',
      lastSeenAt: null,
    });
  });

  test('an expired, an invented and a foreign token are refused in the same way, and not quoted', async () => {
    const api = await setUp();
    const { token } = (await api.call('createEnrollmentToken')).body;
    api.clock.ms += 15 * 60_000;
    const other = `${Buffer.from('umbrella').toString('base64url')}.${token.split('.')[1]}`;
    const answers = [];
    for (const given of [token, other, 'A'.repeat(40), `${token}.x`])
      answers.push(await api.call('enrollHost', { claims: null, body: enrollment(given) }));
    expect(new Set(answers.map(({ status, text }) => `${status} ${text}`)).size).toBe(1);
    expect([answers[0]?.status, answers[0]?.body.code]).toEqual([403, 'enrollment-token-invalid']);
    expect(api.lines.join() + answers[0]?.text).not.toContain(token.split('.')[1]);
  });

  test('a repeat of the request returns the same token, which the table does not contain', async () => {
    const api = await setUp();
    const headers = { 'idempotency-key': 'enroll-1' };
    const first = await api.call('createEnrollmentToken', { headers });
    const second = await api.call('createEnrollmentToken', { headers });
    expect(second.text).toBe(first.text);
  });

  test('valid public keys are accepted; keys of small order or off the curve are refused', () => {
    for (let round = 0; round < 50; round += 1) {
      const { x = '' } = generateKeyPairSync('ed25519').publicKey.export({ format: 'jwk' });
      expect(isEd25519PublicKey(x)).toBe(true);
    }
    const smallOrder = [
      '0000000000000000000000000000000000000000000000000000000000000000',
      '0100000000000000000000000000000000000000000000000000000000000000',
      '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
      'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
      'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
      'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
      'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
      // y = 2 is not on the curve.
      '0200000000000000000000000000000000000000000000000000000000000000',
    ];
    for (const hex of smallOrder)
      expect([hex, isEd25519PublicKey(Buffer.from(hex, 'hex').toString('base64url'))]).toEqual([hex, false]);
  });
});

describe('images', () => {
  test('are found in any case, with slashes in their names, and with their hosts', async () => {
    const api = await setUp();
    const image = imageRecord('mcr.microsoft.com/windows/NanoServer:1607');
    await api.table.put({ Item: imageItem(image) });
    await api.table.put({ Item: imageOnHostItem(TENANT, image.view, host.id) });
    const got = await api.call('getImage', { params: { name: 'MCR.microsoft.com/windows/nanoserver:1607' } });
    expect(ImageSchema.parse(got.body)).toMatchObject({
      name: image.view.name,
      hosts: [{ hostId: host.id, digest: image.view.digest }],
    });
    const { config: _, hosts: __, ...listed } = ImageSchema.parse(got.body);
    api.consumed.reset();
    expect((await api.call('listImages')).body).toEqual({ items: [listed], nextCursor: null });
    expect(api.consumed.calls().filter(({ operation }) => operation === 'Query')).toHaveLength(1);
  });

  test('are imported by an enrolled host', async () => {
    const api = await setUp();
    await addHost(api);
    const body = { name: 'mini', hostId: host.id, source: { path: '/srv/images/mini.tar' } };
    const answer = await api.call('importImage', { body });
    expect([answer.status, answer.headers.location]).toEqual([
      202,
      `/v1/operations/${answer.body.operation.id}`,
    ]);
    expect(OperationSchema.parse(answer.body.operation)).toMatchObject({
      kind: 'importImage',
      imageName: 'mini',
    });
    expect(api.outside.started).toMatchObject([
      { machine: 'run-command', parameters: { source: body.source } },
    ]);
    const nowhere = await api.call('importImage', { body: { ...body, hostId: testId(1) } });
    expect([nowhere.status, nowhere.body.code]).toEqual([409, 'host-not-found']);
  });

  test('in use, even by a container that is off, are not removed; otherwise the hosts get the command', async () => {
    const api = await setUp();
    await addHost(api);
    const image = imageRecord('nanoserver');
    await api.table.put({ Item: imageItem(image) });
    await api.table.put({ Item: imageOnHostItem(TENANT, image.view, host.id) });
    await api.table.put({ Item: containerItem(containerRecord('Off')) });
    const params = { name: 'NanoServer' };
    const used = await api.call('removeImage', { params });
    expect([used.status, used.body.code]).toEqual([409, 'image-in-use']);
    await api.table.remove({ Key: keyItem(keys.container(TENANT, testId(1))) });
    expect((await api.call('removeImage', { params })).status).toBe(204);
    expect((await api.call('getImage', { params })).status).toBe(404);
    expect(api.outside.pushed.map(({ command }) => command.arguments)).toEqual([
      { verb: 'removeImage', name: 'nanoserver' },
    ]);
  });
});

describe('processes', () => {
  const params = { idOrName: testId(1) };
  const process = {
    pid: 1,
    name: 'init',
    userName: 'root',
    commandLine: 'init',
    cpuSeconds: 0,
    workingSetBytes: 1,
    startedAt: null,
  };

  test('are requested from the host, and its answer is deleted afterwards', async () => {
    const api = await setUp();
    await addHost(api);
    await api.table.put({ Item: containerItem(containerRecord('Running')) });
    api.outside.onPush = async (_, command) => {
      const result = {
        status: 'succeeded' as const,
        commandId: command.id,
        steps: [],
        observed: null,
        processes: [process],
      };
      await storeResult(api.table, TENANT, command.hostId, result);
      return 'sent';
    };
    const answer = await api.call('listContainerProcesses', { params });
    expect([answer.status, answer.body]).toEqual([200, { items: [process], nextCursor: null }]);
    const [pushed] = api.outside.pushed;
    expect(pushed).toMatchObject({
      connectionId: 'connection-1',
      command: { containerId: testId(1), arguments: { verb: 'listProcesses' } },
    });
    expect(await api.table.get(keys.command(TENANT, host.id, pushed?.command.id ?? ''))).toBeUndefined();
    expect((await api.call('listHostProcesses', { params: host })).body.items).toEqual([process]);
    expect(api.outside.pushed[1]?.command).toMatchObject({
      containerId: null,
      arguments: { verb: 'listHostProcesses' },
    });
  });

  test('of a disconnected, removed or silent host result in a time-out', async () => {
    const api = await setUp();
    await api.table.put({ Item: containerItem(containerRecord('Running')) });
    const ask = async () => {
      const began = api.clock.ms;
      const { status, body } = await api.call('listContainerProcesses', { params });
      return [status, body.code, Math.round((api.clock.ms - began) / 1000)];
    };
    expect(await ask()).toEqual([504, 'host-not-answering', 0]);
    await addHost(api, 900, null);
    expect(await ask()).toEqual([504, 'host-not-answering', 0]);
    await addHost(api);
    api.outside.onPush = async () => 'gone';
    expect(await ask()).toEqual([504, 'host-not-answering', 0]);
    api.outside.onPush = async () => 'unreachable';
    expect(await ask()).toEqual([504, 'host-not-answering', 10]);
  });

  test('that the host refuses return its reason; a container that is not running has none', async () => {
    const api = await setUp();
    await addHost(api);
    await api.table.put({ Item: containerItem(containerRecord('Running')) });
    api.outside.onPush = async (_, command) => {
      const error = { code: 'invalid-state' as const, message: 'it has just ended' };
      await storeResult(api.table, TENANT, command.hostId, {
        status: 'failed',
        commandId: command.id,
        steps: [],
        observed: null,
        error,
      });
      return 'sent';
    };
    const refused = await api.call('listContainerProcesses', { params });
    expect([refused.status, refused.body.detail]).toEqual([409, 'it has just ended']);
    await api.table.put({ Item: containerItem(containerRecord('Off')) });
    expect((await api.call('listContainerProcesses', { params })).body.code).toBe('invalid-state');
    expect(api.outside.pushed).toHaveLength(1);
  });

  test('compute processes have upper-case ids and are found in either case', async () => {
    const api = await setUp();
    await api.table.put({ Item: containerItem(containerRecord('Running')) });
    const list = await api.call('listComputeProcesses', { query: `hostId=${host.id}` });
    expect(list.body.items.map((one: unknown) => ComputeProcessSchema.parse(one).id)).toEqual([
      testId(1).toUpperCase(),
    ]);
    expect((await api.call('listComputeProcesses')).body).toEqual(list.body);
    for (const id of [testId(1), testId(1).toUpperCase()])
      expect((await api.call('getComputeProcess', { params: { id } })).body).toEqual(list.body.items[0]);
    expect((await api.call('getComputeProcess', { params: { id: 'container-1' } })).status).toBe(404);
  });
});

describe('events', () => {
  const event = (number: number, at: number) => ({
    sequence: String(number),
    at,
    event: {
      time: new Date(at).toISOString(),
      type: 'Container Created' as const,
      resource: { kind: 'container' as const, id: testId(number) },
      revision: 1,
      previousState: null,
      state: 'Off',
      operationId: null,
      actor: 'ann',
    },
  });
  const ids = (page: { body: { items: unknown[] } }) =>
    page.body.items.map((one) => EventSchema.parse(one).resource.id);

  test('are listed at once, in order, and the last page has a cursor for later events', async () => {
    const api = await setUp();
    const log = createEventLog(api.table, () => new Date(api.clock.ms));
    await log.append(
      TENANT,
      [1, 2, 3].map((number) => event(number, api.clock.ms)),
    );
    const first = await api.call('listEvents', { query: 'limit=2' });
    expect(ids(first)).toEqual([testId(1), testId(2)]);
    const second = await api.call('listEvents', { query: `cursor=${first.body.nextCursor}` });
    expect(ids(second)).toEqual([testId(3)]);
    const third = await api.call('listEvents', { query: `cursor=${second.body.nextCursor}` });
    expect(ids(third)).toEqual([]);
    await log.append(TENANT, [event(4, api.clock.ms)]);
    expect(ids(await api.call('listEvents', { query: `cursor=${third.body.nextCursor}` }))).toEqual([
      testId(4),
    ]);
  });

  test('can be followed from the end, without reading the earlier ones', async () => {
    const api = await setUp();
    const log = createEventLog(api.table, () => new Date(api.clock.ms));
    const empty = await api.call('listEvents', { query: 'from=end' });
    await log.append(TENANT, [event(1, api.clock.ms)]);
    expect(ids(await api.call('listEvents', { query: `cursor=${empty.body.nextCursor}` }))).toEqual([
      testId(1),
    ]);
    const end = await api.call('listEvents', { query: 'from=end' });
    expect(ids(end)).toEqual([]);
    await log.append(TENANT, [event(2, api.clock.ms)]);
    expect(ids(await api.call('listEvents', { query: `cursor=${end.body.nextCursor}` }))).toEqual([
      testId(2),
    ]);
  });
});

test('public routes', async () => {
  const api = await setUp();
  api.consumed.reset();
  const ask = async (operationId: string) => (await api.call(operationId, { claims: null })).body;
  expect(await ask('getHealth')).toEqual({ status: 'ok' });
  expect(await ask('getVersion')).toEqual({ version: '1.2.3', apiVersion: 'v1' });
  expect(await ask('getOpenApi')).toMatchObject({ openapi: '3.1.0' });
  expect(api.consumed.calls()).toEqual([]);
});
