import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { CONVERSION_REQUESTED } from '../../core/contract/conversion-rule.ts';
import { putEvents } from '../helpers/local-bus.ts';
import {
  eventually,
  type LocalCloud,
  listAll,
  startLocalCloud,
  waitForHosts,
  waitForOperation,
} from '../helpers/local-cloud.ts';

/** Runtime conversion over HTTP and over the bus, on the whole local cloud with simulated hosts. */
let cloud: LocalCloud;
let hosts: Record<string, string>;
beforeAll(async () => {
  cloud = await startLocalCloud({ simulate: 3 });
  await waitForHosts(cloud, 3);
  const { body } = await cloud.call('GET', '/v1/hosts');
  hosts = Object.fromEntries(
    body.items.map((one: { id: string; os: { sku: string } }) => [one.os.sku, one.id]),
  );
}, 120_000);
afterAll(async () => {
  await cloud?.stop();
}, 30_000);

const create = async (body: object, host = 'NanoServer') => {
  const placement = { hostId: hosts[host] };
  const answer = await cloud.call('POST', '/v1/containers', {
    body: { image: 'nanoserver', placement, ...body },
  });
  expect([answer.status, answer.text]).toEqual([202, expect.any(String)]);
  await waitForOperation(cloud, answer.body.operation.id);
  return answer.body.container.id as string;
};
const get = async (idOrName: string) => (await cloud.call('GET', `/v1/containers/${idOrName}`)).body;
const convert = (idOrName: string, body: object) =>
  cloud.call('PATCH', `/v1/containers/${idOrName}`, { body });
const FOREVER = ['ping', '-t', 'localhost'];

describe('the documented workflow', () => {
  test('New-Container DEMO, its RuntimeType, Set-Container -RuntimeType HyperV, and the RuntimeType again', async () => {
    const id = await create({ name: 'DEMO', switchName: 'NAT' });
    expect(await get('DEMO')).toMatchObject({ id, runtimeType: 'Default', state: 'Off' });
    const explained = await cloud.call('PATCH', '/v1/containers/DEMO?dryRun=true', {
      body: { runtimeType: 'hyperv' },
    });
    expect(explained.body.conversion).toMatchObject({ hostOs: expect.stringContaining('NanoServer') });
    const { status, body } = await convert('DEMO', { runtimeType: 'HyperV' });
    expect(status).toBe(202);
    const operation = await waitForOperation(cloud, body.operation.id);
    expect(operation).toMatchObject({
      kind: 'convert',
      state: 'Succeeded',
      conversion: { from: 'Default', to: 'HyperV', downtimeMs: null },
    });
    expect(await get('DEMO')).toMatchObject({ id, name: 'DEMO', runtimeType: 'HyperV', state: 'Off' });
    const listed = await cloud.call('GET', '/v1/containers?runtimeType=HYPERV&name=DEMO');
    expect(listed.body.items.map((one: { id: string }) => one.id)).toEqual([id]);
  });

  test('a conversion of a running container removes its process from the host’s list and adds a worker process', async () => {
    const id = await create({
      name: 'RUNNING',
      command: ['ping', '-t', 'of-its-own'],
      start: true,
      labels: { app: 'web' },
    });
    const onHost = async () =>
      (await cloud.call('GET', `/v1/hosts/${hosts.NanoServer}/processes`)).body.items as {
        commandLine: string;
        userName: string;
      }[];
    expect((await onHost()).some(({ commandLine }) => commandLine.includes('of-its-own'))).toBe(true);
    const { body } = await convert(id, { runtimeType: 'HyperV' });
    const operation = await waitForOperation(cloud, body.operation.id);
    expect(operation).toMatchObject({ state: 'Succeeded', conversion: { downtimeMs: expect.any(Number) } });
    expect(operation.conversion.downtimeMs).toBeGreaterThan(0);
    expect(await get(id)).toMatchObject({
      name: 'RUNNING',
      state: 'Running',
      runtimeType: 'HyperV',
      labels: { app: 'web' },
    });
    const after = await onHost();
    expect(after.some(({ commandLine }) => commandLine.includes('of-its-own'))).toBe(false);
    expect(after.some(({ userName }) => userName.toUpperCase().includes(id.toUpperCase()))).toBe(true);

    const back = await convert(id, { runtimeType: 'Default' });
    expect([back.status, back.body.code]).toEqual([409, 'untrusted-disk']);
    const accepted = await convert(id, { runtimeType: 'Default', acceptUntrustedDisk: true });
    expect((await waitForOperation(cloud, accepted.body.operation.id)).state).toBe('Succeeded');
    expect((await onHost()).some(({ commandLine }) => commandLine.includes('of-its-own'))).toBe(true);
  });

  test('a Server Core host refuses a conversion with its own error code, and nothing changes', async () => {
    const id = await create({ name: 'CORE', image: 'windowsservercore' }, 'ServerCore');
    const before = await get(id);
    const { status, body } = await convert(id, { runtimeType: 'HyperV' });
    expect([status, body.code]).toEqual([409, 'runtime-conversion-unsupported']);
    expect(body.detail).toContain('ServerCore');
    expect(await get(id)).toEqual(before);
  });
});

const rule = (name: string, body: object) => cloud.call('PUT', `/v1/conversion-rules/${name}`, { body });
const runsOf = (name: string) => listAll(cloud, `/v1/conversion-rules/${name}/runs`);
const ended = (name: string, count: number) =>
  eventually(async () => {
    const runs = await runsOf(name);
    return runs.length >= count && runs.every(({ state }) => state === 'Ended') ? runs : undefined;
  }, 120);

describe('conversion rules', () => {
  test('an event converts only the containers that the rule selects', async () => {
    const named = await create({ name: 'suspect', command: FOREVER, start: true });
    const other = await create({ name: 'innocent', command: FOREVER, start: true });
    const made = await rule('by-name', {
      eventPattern: { source: ['scanner'], detail: { severity: [{ numeric: ['>=', 7] }] } },
      select: { name: '{% $.detail.container %}' },
      runtimeType: 'HyperV',
    });
    expect([made.status, made.body.enabled]).toEqual([201, true]);
    const event = {
      source: 'scanner',
      'detail-type': 'Finding',
      detail: { severity: 8, container: 'suspect' },
    };
    const tested = await cloud.call('POST', '/v1/conversion-rules/by-name/test', { body: { event } });
    expect(tested.body).toMatchObject({
      matches: true,
      select: { name: 'suspect' },
      containers: [{ containerId: named, would: 'convert', why: null }],
    });
    expect((await get(named)).runtimeType).toBe('Default');

    await putEvents(cloud, [{ ...event, detail: { ...event.detail, severity: 3 } }, event]);
    const [run] = await ended('by-name', 1);
    expect(run).toMatchObject({ matched: 1, converted: 1, skipped: 0, failed: 0, truncated: false });
    expect(run.containers).toMatchObject([{ containerId: named, name: 'suspect', outcome: 'converted' }]);
    expect(await get(named)).toMatchObject({ runtimeType: 'HyperV', state: 'Running' });
    expect((await get(other)).runtimeType).toBe('Default');
  });

  test('a dry-run, disabled or deleted rule converts nothing; a run stops at maxContainers', async () => {
    for (const number of [1, 2, 3]) await create({ name: `dry-${number}`, labels: { set: 'dry' } });
    const body = {
      eventPattern: { source: ['dry'] },
      select: { labels: { set: 'dry' } },
      runtimeType: 'HyperV',
      maxContainers: 2,
    };
    await rule('dry', { ...body, dryRun: true });
    await putEvents(cloud, [{ source: 'dry', 'detail-type': 'x', detail: {} }]);
    const [run] = await ended('dry', 1);
    expect(run).toMatchObject({ matched: 2, truncated: true, converted: 0, skipped: 2 });
    expect(run.containers.map(({ why }: { why: string }) => why)).toEqual(['dry-run', 'dry-run']);
    await rule('dry', { ...body, enabled: false });
    await putEvents(cloud, [{ source: 'dry', 'detail-type': 'x', detail: {} }]);
    expect((await cloud.call('DELETE', '/v1/conversion-rules/dry')).status).toBe(204);
    expect((await cloud.call('GET', '/v1/conversion-rules/dry')).status).toBe(404);
    expect((await get('dry-1')).runtimeType).toBe('Default');
  });

  test('patterns are validated as in EventBridge, and expressions as JSONata', async () => {
    const select = { name: 'x' };
    const eventPattern = { source: ['x'], detail: { severity: 'no list' } };
    const bad = await rule('bad', { eventPattern, select, runtimeType: 'HyperV' });
    expect([bad.status, bad.body.errors[0].pointer]).toEqual([400, '/body/eventPattern']);
    expect(bad.body.errors[0].detail).toContain('Event pattern is not valid');
    const expression = await rule('bad', {
      eventPattern: { source: ['x'] },
      select: { name: '{% $.( %}' },
      runtimeType: 'HyperV',
    });
    expect([expression.status, expression.body.errors[0].pointer]).toEqual([400, '/body/select/name']);
    expect((await cloud.call('GET', '/v1/conversion-rules/bad')).status).toBe(404);
  });
});

/** The JSON after a mark in the documentation. */
const documented = (mark: string) => {
  const text = readFileSync(new URL('../../docs/conversion.md', import.meta.url), 'utf8');
  const block = text.split(`<!-- ${mark} -->`)[1]?.split('```json')[1]?.split('```')[0];
  return JSON.parse(block ?? '');
};

test('the documented rule for a GuardDuty finding works as documented', async () => {
  const id = await create({ name: 'web', command: FOREVER, start: true });
  const made = await rule('isolate-suspicious', documented('rule: isolate-suspicious'));
  expect([made.status, made.text]).toEqual([201, expect.any(String)]);
  const event = documented('event: isolate-suspicious');
  event.detail.resource.containerDetails.id = id;
  const tested = await cloud.call('POST', '/v1/conversion-rules/isolate-suspicious/test', {
    body: { event },
  });
  expect(tested.body).toMatchObject({ matches: true, containers: [{ containerId: id, would: 'convert' }] });
  const asByGuardDuty = { ...event, source: 'aws.guardduty' };
  const real = await cloud.call('POST', '/v1/conversion-rules/isolate-suspicious/test', {
    body: { event: asByGuardDuty },
  });
  expect(real.body.matches).toBe(true);
  await putEvents(cloud, [event]);
  const [run] = await ended('isolate-suspicious', 1);
  expect(run).toMatchObject({ converted: 1, failed: 0 });
  expect(await get(id)).toMatchObject({ runtimeType: 'HyperV', state: 'Running' });
});

/** Reads until an empty page, because the list of events has no end. */
const allEvents = async () => {
  // biome-ignore lint/suspicious/noExplicitAny: events of many kinds
  const items: any[] = [];
  for (let cursor = ''; ; ) {
    const { body } = await cloud.call('GET', `/v1/events?limit=200${cursor && `&cursor=${cursor}`}`);
    if (body.items.length === 0) return items;
    items.push(...body.items);
    cursor = body.nextCursor;
  }
};

test('Bulkhead publishes a container’s changes on the bus in the order of its revisions', async () => {
  const id = await create({ name: 'told', command: FOREVER, start: true });
  const { body } = await convert(id, { runtimeType: 'HyperV' });
  await waitForOperation(cloud, body.operation.id);
  const own = await eventually(async () => {
    const events = (await allEvents()).filter((event) => event.resource.id === id);
    const last = events.at(-1);
    return last?.state === 'Running' && last.runtimeType === 'HyperV' ? events : undefined;
  });
  expect(own.map(({ state }) => state)).toEqual(
    expect.arrayContaining(['Starting', 'Running', 'Converting']),
  );
  const revisions = own.map(({ revision }) => revision);
  expect(revisions).toEqual([...new Set(revisions)].sort((a, b) => a - b));
});

describe('requests on the bus', () => {
  const request = (detail: object) => ({ source: 'mine', 'detail-type': CONVERSION_REQUESTED, detail });
  const reads = (id: string, runtimeType: string) =>
    eventually(async () => ((await get(id)).runtimeType === runtimeType ? true : undefined), 60);

  test('convert the containers that they name in the tenant that they name', async () => {
    const byId = await create({ name: 'asked-1' });
    const byLabel = await create({ name: 'asked-2', labels: { asked: 'yes' } });
    const foreign = await create({ name: 'asked-3' });
    await putEvents(cloud, [
      request({ containerId: byId, runtimeType: 'HyperV', reason: 'because' }),
      request({ select: { labels: { asked: 'yes' } }, runtimeType: 'HyperV' }),
      request({ tenant: 'somebody-else', containerId: foreign, runtimeType: 'HyperV' }),
    ]);
    await reads(byId, 'HyperV');
    await reads(byLabel, 'HyperV');
    const operations = await listAll(cloud, `/v1/operations?containerId=${byId}`);
    expect(operations[0]).toMatchObject({ kind: 'convert', requestedBy: 'event:mine' });
    expect((await get(foreign)).runtimeType).toBe('Default');
  });
});

describe('an event storm', () => {
  test('1,000 events for 10 containers convert each container once, and all queues drain', async () => {
    const names = Array.from({ length: 10 }, (_, at) => `storm-${at}`);
    const ids = await Promise.all(names.map((name) => create({ name }, 'NanoServer')));
    await rule('storm', {
      eventPattern: { source: ['storm'] },
      select: { name: '{% $.detail.name %}' },
      runtimeType: 'HyperV',
    });
    for (let call = 0; call < 100; call += 1)
      await putEvents(
        cloud,
        names.map((name) => ({ source: 'storm', 'detail-type': 'x', detail: { name, call } })),
      );
    const runs = await eventually(async () => {
      const all = await runsOf('storm');
      return all.length === 1000 && all.every(({ state }) => state === 'Ended') ? all : undefined;
    }, 500);
    const converted = runs.flatMap(({ containers }) =>
      containers.filter(({ outcome }: { outcome: string }) => outcome === 'converted'),
    );
    expect(converted.map(({ containerId }) => containerId).sort()).toEqual([...ids].sort());
    for (const id of ids) {
      expect(await get(id)).toMatchObject({ runtimeType: 'HyperV', activeOperationId: null });
      const operations = await listAll(cloud, `/v1/operations?containerId=${id}`);
      expect(operations.filter(({ kind }) => kind === 'convert')).toHaveLength(1);
    }
    expect((await listAll(cloud, '/v1/operations')).filter(({ endedAt }) => endedAt === null)).toEqual([]);
  }, 600_000);
});
