import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { type ConversionRule, ConversionRuleSchema } from '../../../core/contract/conversion-rule.ts';
import { ConflictError, TooBusyError } from '../../../core/domain/errors.ts';
import { eventRuleNameOf } from '../../../functions/conversion-rules/event-rules.ts';
import { containerItem } from '../../../store/containers.ts';
import { countRules } from '../../../store/conversion-rules.ts';
import { hostItem } from '../../../store/hosts.ts';
import type { Table } from '../../../store/table.ts';
import { createApi, type Outside, RULES_PER_TENANT } from '../../helpers/api.ts';
import { type Engine, startEngine } from '../../helpers/dynoxide.ts';
import { containerRecord, hostRecord, TENANT, testId } from '../../helpers/records.ts';

let engine: Engine;
beforeAll(async () => {
  engine = await startEngine();
});
afterAll(() => engine.stop());

const params = { name: 'isolate' };
const body = {
  eventPattern: { source: ['scanner'], x: [null] },
  select: { name: 'a' },
  runtimeType: 'hyperv',
};
const open = async () => {
  const { table } = await engine.table();
  const api = createApi(table);
  const put = (change: object = {}, given = {}) =>
    api.call('putConversionRule', { params, body: { ...body, ...change }, ...given });
  const get = () => api.call('getConversionRule', { params });
  return { ...api, table, put, get };
};

/** @returns a function that ends the throttling */
const throttleRemovals = ({ eventRules }: Outside): (() => void) => {
  const removals = eventRules.delete;
  eventRules.delete = () => {
    throw new TooBusyError('EventBridge takes no more calls at the moment.');
  };
  return () => {
    eventRules.delete = removals;
  };
};

const failSecondWrite = (table: Table): void => {
  const { transact } = table;
  let writes = 0;
  table.transact = async (...given) => {
    writes += 1;
    if (writes === 2) throw new TooBusyError('no');
    return transact(...given);
  };
};

describe('a rule', () => {
  test('is created with defaults for omitted members, and exists on the bus', async () => {
    const { put, get, outside } = await open();
    const made = await put();
    expect([made.status, made.headers.etag]).toEqual([201, '"1"']);
    const rule = ConversionRuleSchema.parse(made.body);
    expect(rule).toMatchObject({
      eventPattern: body.eventPattern,
      runtimeType: 'HyperV',
      maxContainers: 10,
      maxConcurrency: 5,
      cooldownSeconds: 0,
      enabled: true,
      dryRun: false,
    });
    expect(outside.eventRules.get(rule.eventRuleName)).toMatchObject({ eventPattern: body.eventPattern });
    expect((await get()).body).toEqual(made.body);
  });

  test('is replaced completely, keeps its creation time, and is protected by its ETag', async () => {
    const { put, get, clock, outside } = await open();
    const made = (await put({ description: 'one', cooldownSeconds: 60 })).body;
    clock.ms += 1000;
    const stale = await put({}, { headers: { 'if-match': '"7"' } });
    expect([stale.status, outside.eventRules.get(made.eventRuleName)?.revision]).toEqual([412, 1]);
    const replaced = await put({ enabled: false }, { headers: { 'if-match': '"1"' } });
    expect([replaced.status, replaced.body.revision]).toEqual([200, 2]);
    expect(replaced.body).toMatchObject({
      description: '',
      cooldownSeconds: 0,
      enabled: false,
      createdAt: made.createdAt,
    });
    expect(outside.eventRules.get(made.eventRuleName)?.enabled).toBe(false);
    expect((await get()).body).toEqual(replaced.body);
  });

  test('is removed from the bus when it is deleted; a second deletion returns 404', async () => {
    const { put, call, outside } = await open();
    await put();
    const dry = await call('deleteConversionRule', { params, query: 'dryRun=true' });
    expect([dry.status, outside.eventRules.size]).toEqual([200, 1]);
    expect((await call('deleteConversionRule', { params })).status).toBe(204);
    expect(outside.eventRules.size).toBe(0);
    expect((await call('deleteConversionRule', { params })).status).toBe(404);
  });

  test('does not change on the bus if the table refuses the change', async () => {
    const { put, call, table, outside } = await open();
    const { transact } = table;
    const fail = () => {
      table.transact = async () => {
        throw new TooBusyError('no');
      };
    };
    fail();
    expect((await put()).status).toBe(503);
    expect(outside.eventRules.size).toBe(0);
    table.transact = transact;
    const made = (await put()).body;
    fail();
    expect((await put({ enabled: false })).status).toBe(503);
    expect(outside.eventRules.get(made.eventRuleName)?.enabled).toBe(true);
    expect((await call('deleteConversionRule', { params })).status).toBe(503);
    expect(outside.eventRules.size).toBe(1);
    table.transact = transact;
  });

  test('is refused beyond the limit of a tenant, even for parallel requests', async () => {
    const { call, outside } = await open();
    const names = Array.from({ length: 3 * RULES_PER_TENANT }, (_, index) => `rule-${index}`);
    const puts = await Promise.all(
      names.map((name) => call('putConversionRule', { params: { name }, body })),
    );
    const refused = puts.filter(({ status }) => status === 409);
    expect(refused).toHaveLength(2 * RULES_PER_TENANT);
    expect(refused[0]?.body).toMatchObject({
      code: 'rules-exhausted',
      context: { limit: RULES_PER_TENANT },
      suggestion: expect.any(String),
    });
    expect(outside.eventRules.size).toBe(RULES_PER_TENANT);
    const { items } = (await call('listConversionRules')).body;
    expect(items).toHaveLength(RULES_PER_TENANT);
    const other = await call('putConversionRule', { params, body, claims: { tenant: 'umbrella' } });
    expect(other.status).toBe(201);
    // Replacing a rule is allowed at the limit, and removing one allows a new one.
    const [{ name }] = items;
    expect((await call('putConversionRule', { params: { name }, body })).status).toBe(200);
    expect((await call('deleteConversionRule', { params: { name } })).status).toBe(204);
    expect((await call('putConversionRule', { params, body })).status).toBe(201);
  });

  test('that loses a race is never on the bus without being counted, even if EventBridge throttles', async () => {
    const { call, table, outside } = await open();
    const { transact } = table;
    const put = (name: string) => call('putConversionRule', { params: { name }, body });
    for (let index = 1; index < RULES_PER_TENANT; index += 1) await put(`rule-${index}`);
    throttleRemovals(outside);
    // All requests check the limit before any of them writes.
    const names = Array.from({ length: 8 }, (_, index) => `race-${index}`);
    const all = Promise.withResolvers<void>();
    let arrived = 0;
    table.transact = async (writes, token) => {
      arrived += 1;
      if (arrived === names.length) all.resolve();
      await all.promise;
      return transact(writes, token);
    };
    const answers = await Promise.all(names.map(put));
    expect(answers.map(({ status }) => status).sort()).toEqual([201, ...Array(7).fill(409)]);
    const { items } = (await call('listConversionRules')).body;
    expect(items).toHaveLength(RULES_PER_TENANT);
    const listed = items.map(({ eventRuleName }: ConversionRule) => eventRuleName);
    expect([...outside.eventRules.keys()].sort()).toEqual(listed.sort());
  });

  test('leaves nothing behind if its item cannot be completed', async () => {
    const { put, get, outside, table } = await open();
    failSecondWrite(table);
    expect((await put()).status).toBe(503);
    expect([(await get()).status, outside.eventRules.size, await countRules(table, TENANT)]).toEqual([
      404, 0, 0,
    ]);
  });

  test('that cannot be removed from the bus is disabled and counted until it is replaced or deleted', async () => {
    const { put, get, call, outside, table } = await open();
    const failedPut = async () => {
      const endThrottling = throttleRemovals(outside);
      failSecondWrite(table);
      expect((await put()).status).toBe(503);
      expect((await get()).body).toMatchObject({ enabled: false, revision: 0 });
      expect([outside.eventRules.size, await countRules(table, TENANT)]).toEqual([1, 1]);
      endThrottling();
    };
    const remove = () => call('deleteConversionRule', { params });
    await failedPut();
    const made = await put();
    expect([made.status, made.body.enabled, made.body.revision]).toEqual([201, true, 1]);
    expect([outside.eventRules.size, await countRules(table, TENANT)]).toEqual([1, 1]);
    await remove();
    await failedPut();
    expect((await remove()).status).toBe(204);
    expect([outside.eventRules.size, await countRules(table, TENANT)]).toEqual([0, 0]);
  });

  test('that EventBridge refuses does not count towards the limit', async () => {
    const { put, outside, table, get } = await open();
    outside.eventRules.set = () => {
      throw new ConflictError('rules-exhausted', 'The event bus has as many rules as EventBridge allows.');
    };
    expect((await put()).status).toBe(409);
    expect([(await get()).status, await countRules(table, TENANT)]).toEqual([404, 0]);
  });

  test('is created once for one Idempotency-Key', async () => {
    const { put } = await open();
    const headers = { 'idempotency-key': 'k' };
    const first = await put({}, { headers });
    expect((await put({}, { headers })).body).toEqual(first.body);
    expect((await put({ enabled: false }, { headers })).status).toBe(409);
  });

  test.each([
    ['other tenants’ events', { eventPattern: { source: [{ prefix: '' }] } }, '/body/eventPattern/source'],
    ['a pattern that is too long', { eventPattern: { a: ['x'.repeat(2100)] } }, '/body/eventPattern'],
    ['an empty selection', { select: {} }, '/body/select'],
    ['an empty selection by labels', { select: { labels: {} } }, '/body/select/labels'],
    ['an unknown member', { select: { host: 'x' } }, '/body/select/host'],
    ['an invalid runtime type', { runtimeType: 'Docker' }, '/body/runtimeType'],
    ['too many containers', { maxContainers: 101 }, '/body/maxContainers'],
    ['an invalid expression', { select: { labels: { 'a/b': '{% ( %}' } } }, '/body/select/labels/a~1b'],
    [
      'an expression that evaluates the event',
      { select: { name: '{% $eval($.detail.x) %}' } },
      '/body/select/name',
    ],
  ])('%s is refused with a pointer', async (_, change, pointer) => {
    const { put, outside } = await open();
    const refused = await put(change);
    expect([refused.status, refused.body.errors?.[0]?.pointer]).toEqual([400, pointer]);
    expect(outside.eventRules.size).toBe(0);
  });

  test('has a valid name on the bus, which depends only on its tenant and name', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), fc.string(), fc.string(), (t1, n1, t2, n2) => {
        const name = eventRuleNameOf(t1, n1);
        expect(name).toMatch(/^[.\-_A-Za-z0-9]{1,64}$/);
        expect(name === eventRuleNameOf(t2, n2)).toBe(t1 === t2 && n1 === n2);
      }),
    );
  });
});

describe('a test of a rule', () => {
  test('reports which containers it would convert, and changes nothing', async () => {
    const { put, call, table, outside } = await open();
    const { view, ...host } = hostRecord(900);
    const facts = {
      ...view.facts,
      capabilities: {
        runtimeTypes: ['Default' as const, 'HyperV' as const],
        runtimeConversion: 'inPlace' as const,
      },
      os: { ...view.facts.os, sku: 'NanoServer' },
    };
    await table.put({ Item: hostItem({ ...host, view: { ...view, facts } }) });
    const labels = { app: 'web' };
    const make = (number: number, state: 'Off' | 'Unknown', more = {}) =>
      table.put({ Item: containerItem(containerRecord(state, { number, view: { labels, ...more } })) });
    await make(1, 'Off');
    await make(2, 'Unknown');
    await make(3, 'Off', { runtimeType: 'HyperV' });
    await make(4, 'Off', { labels: { app: 'other' } });
    await put({ select: { labels: { app: '{% $.detail.app %}' } } });
    const sample = (detail: object) => ({
      params,
      body: { event: { source: 'scanner', 'detail-type': 'Finding', detail } },
    });
    const { body: answer } = await call('testConversionRule', sample({ app: 'web' }));
    expect(answer).toMatchObject({ matches: true, select: { labels }, truncated: false });
    expect(
      answer.containers.map(({ containerId, would, why }: Record<string, string>) => [
        containerId,
        would,
        why,
      ]),
    ).toEqual([
      [testId(1), 'convert', null],
      [testId(2), 'skip', 'invalid-state'],
    ]);
    const nothing = await call('testConversionRule', sample({}));
    expect(nothing.body).toMatchObject({ select: null, containers: [], reason: expect.any(String) });
    expect(outside.started).toEqual([]);
  });

  test('skips a container whose disk untrusted code has written, as a run does', async () => {
    const { put, call, table } = await open();
    await table.put({ Item: hostItem(hostRecord(900)) });
    const labels = { app: 'web' };
    const given = { view: { labels, runtimeType: 'HyperV' as const }, rest: { ranAs: ['HyperV' as const] } };
    await table.put({ Item: containerItem(containerRecord('Off', given)) });
    await put({ select: { labels }, runtimeType: 'Default' });
    const event = { source: 'scanner', 'detail-type': 'Finding', detail: {} };
    const { body: answer } = await call('testConversionRule', { params, body: { event } });
    expect(answer.containers).toMatchObject([
      { containerId: testId(1), would: 'skip', why: 'untrusted-disk' },
    ]);
  });

  test('on an event that is not assigned to its tenant reports that, and evaluates nothing', async () => {
    const { put, call } = await open();
    await put({ select: { name: '{% $error($string($)) %}' } });
    const event = { source: 'bulkhead', 'detail-type': 'Finding', detail: { tenant: 'umbrella' } };
    const { body: answer } = await call('testConversionRule', { params, body: { event } });
    expect(answer).toEqual({
      ...{ matches: true, select: null, containers: [], truncated: false },
      reason: 'the event is not assigned to this tenant',
    });
  });
});
