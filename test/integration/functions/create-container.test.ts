import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { AcceptedSchema, DryRunSchema } from '../../../core/contract/http/routes.ts';
import { ProblemSchema } from '../../../core/contract/problem.ts';
import { listOpenCommands } from '../../../store/commands.ts';
import { hostItem, parseHost } from '../../../store/hosts.ts';
import { imageItem, imageOnHostItem } from '../../../store/images.ts';
import { keys } from '../../../store/keys.ts';
import type { Table } from '../../../store/table.ts';
import { createApi } from '../../helpers/api.ts';
import { type Engine, startEngine } from '../../helpers/dynoxide.ts';
import { hostRecord, imageRecord, TENANT, testId } from '../../helpers/records.ts';

let engine: Engine;
beforeAll(async () => {
  engine = await startEngine();
});
afterAll(() => engine.stop());

const setUp = async () => {
  const { table, consumed } = await engine.table();
  await table.put({ Item: imageItem(imageRecord('NanoServer')) });
  await table.put({ Item: hostItem(hostRecord(900)) });
  await table.put({ Item: imageOnHostItem(TENANT, imageRecord('NanoServer').view, testId(900)) });
  consumed.reset();
  return { ...createApi(table), table, consumed };
};

/** The verbs of the commands that the host has not answered. */
const verbsOn = async (table: Table) =>
  (await listOpenCommands(table, TENANT, testId(900))).map(({ command }) => command.arguments.verb);

/** New-Container -Name DEMO -ContainerImageName nanoserver -SwitchName NAT */
const DEMO = { name: 'DEMO', image: 'nanoserver', switchName: 'NAT' };

describe('create', () => {
  test('accepts a container, and starts the machine for its kind', async () => {
    const { call, outside } = await setUp();
    const body = { ...DEMO, runtimeType: 'hyperv', start: true };
    const answer = await call('createContainer', { body });
    expect(answer.status).toBe(202);
    const { container, operation } = AcceptedSchema.parse(answer.body);
    expect(container).toMatchObject({ name: 'DEMO', runtimeType: 'HyperV', state: 'Starting', revision: 1 });
    expect(container.hostId).toBe(testId(900));
    expect(operation).toMatchObject({ kind: 'create', state: 'Running', containerId: container.id });
    expect(answer.headers).toMatchObject({ location: `/v1/operations/${operation.id}`, etag: '"1"' });
    expect(outside.started).toMatchObject([
      { id: operation.id, machine: 'provision-utility-vm', parameters: { start: true } },
    ]);
  });

  test.each([
    [{}, 'Off', 'prepareContainer'],
    [{ start: true }, 'Starting', 'startContainer'],
    [{ runtimeType: 'HyperV' }, 'Off', 'prepareContainer'],
  ])('%j: %s, by one command and without an execution', async (given, state, verb) => {
    const { call, outside, table } = await setUp();
    const answer = await call('createContainer', { body: { image: 'NanoServer', ...given } });
    expect([answer.body.container.state, answer.body.operation.state]).toEqual([state, 'Running']);
    expect(await verbsOn(table)).toEqual([verb]);
    expect(outside.started).toEqual([]);
  });

  test('keeps the requested members unchanged, and has the documented defaults for the others', async () => {
    const { call } = await setUp();
    const asked = {
      image: 'NANOSERVER',
      entrypoint: ['tini', '--'],
      command: ['cmd', '/c', 'echo "$(id)" & dir'],
      env: { A: 'b\r\nc' },
      labels: { team: 'x' },
    };
    const { body } = await call('createContainer', { body: asked });
    expect(body.container).toMatchObject({
      ...asked,
      runtimeType: 'Default',
      switchName: 'NAT',
      resources: { memoryMB: 128, cpus: 1 },
      restartPolicy: { name: 'no' },
      autoRemove: false,
    });
    expect(body.container.name).toMatch(/^[a-z]+-[a-z]+-[0-9a-f]{8}$/);
  });

  test('can be read immediately, by id in either case and by name', async () => {
    const { call } = await setUp();
    const { container } = (await call('createContainer', { body: DEMO })).body;
    for (const idOrName of [container.id, container.id.toUpperCase(), 'DEMO']) {
      const got = await call('getContainer', { params: { idOrName } });
      expect([got.status, got.body, got.headers.etag]).toEqual([200, container, '"1"']);
    }
    const list = await call('listContainers', { query: 'runtimeType=DEFAULT' });
    const { env: _, entrypoint: __, lastRun: ___, ...summary } = container;
    expect(list.body).toEqual({ items: [summary], nextCursor: null });
  });
});

describe('names of members that every object has', () => {
  const NAMES = ['constructor', 'toString', 'hasOwnProperty', 'valueOf', 'length'];

  test.each(NAMES)(
    '%s: a label and a variable with that name are stored, returned and found',
    async (name) => {
      const { call } = await setUp();
      await call('createContainer', { body: { image: 'NanoServer', name: 'without' } });
      const given = { labels: { [name]: 'x' }, env: { [name]: 'y' } };
      const { container } = (await call('createContainer', { body: { image: 'NanoServer', ...given } })).body;
      expect(container).toMatchObject(given);
      const got = await call('getContainer', { params: { idOrName: container.id } });
      expect([got.body.labels, got.body.env]).toEqual([given.labels, given.env]);
      const found = async (query: string) => (await call('listContainers', { query })).body.items;
      const { env: _, entrypoint: __, lastRun: ___, ...summary } = container;
      expect(await found(`label=${name}=x`)).toEqual([summary]);
      expect(await found(`label=${name}=z`)).toEqual([]);
    },
  );

  test.each(['labels', 'env'])(
    '__proto__ is refused in %s with a pointer, and nothing is created',
    async (field) => {
      const { call, outside } = await setUp();
      const answer = await call('createContainer', {
        body: `{"image":"NanoServer","${field}":{"__proto__":"x"}}`,
      });
      const [error] = ProblemSchema.parse(answer.body).errors ?? [];
      expect([answer.status, error?.pointer]).toEqual([400, `/body/${field}/__proto__`]);
      expect((await call('listContainers', {})).body.items).toEqual([]);
      expect(outside.started).toEqual([]);
    },
  );

  test('no container is found by a label __proto__', async () => {
    const { call } = await setUp();
    await call('createContainer', { body: DEMO });
    const answer = await call('listContainers', { query: 'label=__proto__=x' });
    expect([answer.status, answer.body.items]).toEqual([200, []]);
  });
});

describe('a refused request', () => {
  test('a name in use, with the id of its container', async () => {
    const { call } = await setUp();
    const first = await call('createContainer', { body: DEMO });
    for (const query of ['', 'dryRun=true']) {
      const second = await call('createContainer', { body: DEMO, query });
      const problem = ProblemSchema.parse(second.body);
      expect([second.status, problem.code, problem.context]).toEqual([
        409,
        'name-taken',
        { name: 'DEMO', containerId: first.body.container.id },
      ]);
    }
  });

  test('an image that is not in the catalogue, a host that is not enrolled, a name with the form of an id', async () => {
    const { call } = await setUp();
    const refusal = async (body: object) => {
      const answer = await call('createContainer', { body });
      return [answer.status, answer.body.code, answer.body.errors?.[0]?.pointer];
    };
    expect(await refusal({ image: 'none' })).toEqual([409, 'image-not-found', undefined]);
    expect(await refusal({ image: 'nanoserver', placement: { hostId: testId(1) } })).toEqual([
      409,
      'host-not-found',
      undefined,
    ]);
    expect(await refusal({ image: 'nanoserver', name: testId(1) })).toEqual([
      400,
      'validation-failed',
      '/body/name',
    ]);
  });

  test('a dry run reports why no host fits', async () => {
    const { call } = await setUp();
    const body = { ...DEMO, start: true, resources: { memoryMB: 100_000 } };
    const { placement } = (await call('createContainer', { body, query: 'dryRun=true' })).body;
    expect([placement.fits, placement.hostId]).toEqual([false, null]);
    expect(placement.reason).toContain('needs 100000 MiB');
  });

  test('a dry run writes nothing', async () => {
    const { call, outside } = await setUp();
    const answer = await call('createContainer', { body: { ...DEMO, start: true }, query: 'dryRun=true' });
    expect(answer.status).toBe(200);
    expect(DryRunSchema.parse(answer.body)).toEqual({
      dryRun: true,
      wouldDo: 'create container "DEMO" of image "nanoserver" and start it',
      placement: {
        fits: true,
        hostId: testId(900),
        reason: 'host host-900 fits',
        reservation: { memoryMB: 128, cpus: 1, diskMB: 2064 },
      },
    });
    expect((await call('getContainer', { params: { idOrName: 'DEMO' } })).status).toBe(404);
    expect(outside.started).toEqual([]);
  });
});

describe('Idempotency-Key', () => {
  const headers = { 'idempotency-key': 'create-1' };

  test('the same request returns the same response, byte for byte, even if the container has changed since', async () => {
    const { call, table, clock } = await setUp();
    const first = await call('createContainer', { body: DEMO, headers });
    clock.ms += 3_600_000;
    const second = await call('createContainer', { body: DEMO, headers });
    expect([second.status, second.text, second.headers]).toEqual([202, first.text, first.headers]);
    expect(await verbsOn(table)).toHaveLength(1);
  });

  test('another request with the key is refused', async () => {
    const { call } = await setUp();
    await call('createContainer', { body: DEMO, headers });
    const other = await call('createContainer', { body: { ...DEMO, tty: true }, headers });
    expect([other.status, other.body.code]).toEqual([409, 'idempotency-key-reused']);
  });

  test('the keys of different subjects and tenants are independent', async () => {
    const { call } = await setUp();
    const first = await call('createContainer', { body: DEMO, headers });
    const bob = await call('createContainer', {
      body: { ...DEMO, name: 'B' },
      headers,
      claims: { sub: 'bob' },
    });
    expect([first.status, bob.status]).toEqual([202, 202]);
  });

  test('a refused request is processed again', async () => {
    const { call, table } = await setUp();
    const body = { image: 'later' };
    expect((await call('createContainer', { body, headers })).status).toBe(409);
    await table.put({ Item: imageItem(imageRecord('later')) });
    expect((await call('createContainer', { body, headers })).status).toBe(202);
  });

  test('the key can be used again after a day', async () => {
    const { call, clock } = await setUp();
    await call('createContainer', { body: DEMO, headers });
    clock.ms += 25 * 3_600_000;
    expect((await call('createContainer', { body: { ...DEMO, name: 'other' }, headers })).status).toBe(202);
  });

  test('the table does not contain the response as plain text', async () => {
    const { call, table } = await setUp();
    const body = { ...DEMO, env: { PASSWORD: 'correct horse' } };
    const answer = await call('createContainer', { body, headers });
    const { createHash } = await import('node:crypto');
    const scope = JSON.stringify(['ann', 'POST', '/v1/containers', 'create-1']);
    const hash = createHash('sha256').update(`kept:${scope}`).digest('hex');
    const item = await table.get({ pk: `T#acme#K#${hash}`, sk: 'K' });
    const { inflateRawSync } = await import('node:zlib');
    const stored = Buffer.from(item?.body?.B ?? []);
    expect(stored.length).toBeGreaterThan(100);
    expect(stored.toString('latin1')).not.toContain('correct horse');
    expect(() => inflateRawSync(stored)).toThrow();
    expect(answer.text).toContain('correct horse');
  });
});

test('units: create 17 with a key (6 items at 2, and 5 index entries); get 0.5', async () => {
  const { call, consumed } = await setUp();
  const written = () =>
    consumed
      .calls()
      .filter(({ operation }) => operation === 'TransactWriteItems')
      .reduce((sum, { units }) => sum + units, 0);
  await call('createContainer', { body: { ...DEMO, start: true } });
  // Without a key, an item less. The host moves to another class of free memory: two index entries.
  expect(written()).toBe(17);
  consumed.reset();
  const headers = { 'idempotency-key': 'k' };
  const { container } = (await call('createContainer', { body: { ...DEMO, name: 'b' }, headers })).body;
  expect(written()).toBe(17);
  consumed.reset();
  await call('getContainer', { params: { idOrName: container.id } });
  expect(consumed.total()).toBe(0.5);
});

test('a list has no environment and a truncated command; the container has both completely', async () => {
  const { call } = await setUp();
  const command = ['sh', '-c', 'x'.repeat(1000)];
  const env = { SECRET: 'y'.repeat(1000) };
  const { body } = await call('createContainer', { body: { ...DEMO, command, env } });
  expect(body.container).toMatchObject({ command, env });
  const params = { idOrName: body.container.id };
  expect((await call('getContainer', { params })).body).toMatchObject({ command, env });
  for (const query of ['', 'name=DEMO']) {
    const { items } = (await call('listContainers', { query })).body;
    expect(items[0].command).toEqual(['sh', '-c', `${'x'.repeat(252)}…`]);
    expect(items[0]).not.toHaveProperty('env');
  }
});

describe('placement in the request', () => {
  const large = { ...DEMO, start: true, resources: { memoryMB: 4096 } };
  const freeOf = async (table: Table) =>
    parseHost((await table.get(keys.host(TENANT, testId(900)))) ?? {}).free;

  test('reserves the capacity of the host, and records the step', async () => {
    const { call, table } = await setUp();
    const before = await freeOf(table);
    const { body } = await call('createContainer', { body: large });
    expect((await freeOf(table)).memoryMB).toBe(before.memoryMB - 4096);
    expect(body.operation.steps).toMatchObject([
      { name: 'Place', state: 'Succeeded' },
      { name: 'StartContainer', state: 'Running' },
    ]);
  });

  test('leaves a container without a fitting host to the workflow', async () => {
    const { call, table } = await setUp();
    const { body, status } = await call('createContainer', {
      body: { ...large, resources: { memoryMB: 1_000_000 } },
    });
    expect([status, body.container.hostId, body.operation.state]).toEqual([202, null, 'Pending']);
    expect(await freeOf(table)).toEqual(hostRecord(900).free);
  });

  test('accepts all parallel requests, and reserves no more than the capacity', async () => {
    const { call, table } = await setUp();
    const { memoryMB } = await freeOf(table);
    const fit = Math.floor(memoryMB / 4096);
    const answers = await Promise.all(
      Array.from({ length: fit + 6 }, (_, at) =>
        call('createContainer', {
          body: { ...large, name: `c-${at}`, resources: { memoryMB: 4096, cpus: 0.01 } },
        }),
      ),
    );
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 202));
    const placed = answers.filter(({ body }) => body.container.hostId !== null);
    expect(placed.length).toBeLessThanOrEqual(fit);
    expect((await freeOf(table)).memoryMB).toBe(memoryMB - placed.length * 4096);
    const waiting = answers.filter(({ body }) => body.container.hostId === null);
    expect(waiting.every(({ body }) => body.operation.state === 'Pending')).toBe(true);
  });
});

test('exactly one of 200 parallel requests for one name succeeds', async () => {
  const { call, table } = await setUp();
  const answers = await Promise.all(
    Array.from({ length: 200 }, () => call('createContainer', { body: DEMO })),
  );
  const won = answers.filter(({ status }) => status === 202);
  const lost = answers.filter(({ status }) => status === 409);
  expect([won.length, lost.length]).toEqual([1, 199]);
  expect(new Set(lost.map(({ body }) => `${body.code} ${body.context.containerId}`))).toEqual(
    new Set([`name-taken ${won[0]?.body.container.id}`]),
  );
  expect(await verbsOn(table)).toHaveLength(1);
});
