import { randomBytes, randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { CONVERSION_REQUESTED } from '../../../core/contract/conversion-rule.ts';
import { RULE_STEPS } from '../../../core/contract/deployment.ts';
import { EVENT_TYPES } from '../../../core/contract/event.ts';
import { ROUTES, type Route } from '../../../core/contract/http/routes.ts';
import { boundPattern } from '../../../functions/conversion-rules/bound-pattern.ts';
import { createRunConversionRuleHandler } from '../../../functions/run-conversion-rule/handler.ts';
import type { Selected } from '../../../functions/run-conversion-rule/select.ts';
import { createLogger } from '../../../functions/shared/observability/logger.ts';
import { compilePattern } from '../../../local/events/patterns/index.ts';
import { containerItem } from '../../../store/containers.ts';
import { hostItem } from '../../../store/hosts.ts';
import { imageItem } from '../../../store/images.ts';
import { operationItem } from '../../../store/operations.ts';
import type { Table } from '../../../store/table.ts';
import { type Api, createApi, RULES_PER_TENANT } from '../../helpers/api.ts';
import { type Engine, startEngine } from '../../helpers/dynoxide.ts';
import type { Call } from '../../helpers/http-function.ts';
import {
  containerRecord,
  hostRecord,
  imageRecord,
  operationRecord,
  TENANT,
  testId,
} from '../../helpers/records.ts';

/**
 * The tenant matrix under load: a hostile tenant calls every route and has the maximum number of rules, while another
 * tenant works. Every function has one instance here, so both tenants compete for it. The test counts the other
 * tenant's responses, each of which must be the same as without the flood.
 */
const HOSTILE = { tenant: 'mallory' };
const SECRET = 'S3CRET';
const LIMITS = { requestsPerSecond: 1, requestBurst: 20, waitShare: 0.25, waitBurstSeconds: 5 };
const FLOOD = 40;

let engine: Engine;
let table: Table;
let api: Api;
beforeAll(async () => {
  engine = await startEngine();
  ({ table } = await engine.table());
  api = createApi(table, LIMITS);
  const container = containerRecord('Running', { view: { labels: { secret: SECRET } } });
  const items = [
    containerItem(container),
    operationItem(operationRecord(50)),
    hostItem(hostRecord(900)),
    imageItem(imageRecord('mini')),
  ];
  for (const Item of items) await table.put({ Item });
});
afterAll(() => engine.stop());

/** Requests of the other tenant. */
const WORK: readonly (readonly [operationId: string, given: Call])[] = [
  ['getContainer', { params: { idOrName: testId(1) } }],
  ['listContainers', { query: `label=secret=${SECRET}` }],
  ['getComputeProcess', { params: { id: testId(1).toUpperCase() } }],
  ['getOperation', { params: { id: testId(50) } }],
  ['listOperations', {}],
  ['getHost', { params: { id: testId(900) } }],
  ['getImage', { params: { name: 'mini' } }],
  ['listConversionRules', {}],
  ['stopContainer', { params: { idOrName: testId(1) }, query: 'dryRun=true' }],
  ['updateContainer', { params: { idOrName: testId(1) }, body: { labels: {} }, query: 'dryRun=true' }],
];
/** The response, parsed because the table's engine does not keep the order of members. */
const askOf = async (asked: Api, [operationId, given]: (typeof WORK)[number]) => {
  const { status, headers, body } = await asked.call(operationId, given);
  return { operationId, status, headers, body };
};
const work = (asked: Api) => Promise.all(WORK.map((one) => askOf(asked, one)));

const BODIES: Readonly<Record<string, object>> = {
  createContainer: { image: 'mini' },
  execInContainer: { command: ['true'] },
  importImage: { name: 'mini', hostId: testId(900), source: { path: '/srv/x' } },
  putConversionRule: { eventPattern: { source: ['x'] }, select: { name: 'x' }, runtimeType: 'HyperV' },
  testConversionRule: { event: { source: 'scanner', 'detail-type': 'Finding', detail: {} } },
};
const VALUES: Readonly<Record<string, string>> = {
  hosts: testId(900),
  images: 'mini',
  operations: testId(50),
};

/** A request to a route with the other tenant's ids. */
const attackOf = ({ operationId, path, parameters, body }: Route): Call => ({
  claims: HOSTILE,
  params: Object.fromEntries(
    Object.keys(parameters?.shape ?? {}).map((name) => [name, VALUES[path.split('/')[2] ?? ''] ?? testId(1)]),
  ),
  ...(body === undefined ? {} : { body: BODIES[operationId] ?? {} }),
  ...(operationId === 'getOperation' ? { query: 'waitSeconds=25' } : {}),
});

test('a flood of every route neither prevents nor changes a response to another tenant', async () => {
  // The same table, but without the flood.
  const quiet = createApi(table);
  const before = await work(quiet);
  expect(before.map(({ status }) => status)).toEqual(WORK.map(() => 200));
  const statuses = new Map<number, number>();
  const began = api.clock.ms;
  for (const route of ROUTES.filter(({ scope }) => scope !== null)) {
    for (let index = 0; index < FLOOD; index += 1) {
      const { status, text } = await api.call(route.operationId, attackOf(route));
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
      expect(text).not.toContain(SECRET);
    }
    // The other tenant calls each function less than once a second.
    api.clock.ms += 2_000;
    quiet.clock.ms = api.clock.ms;
    const one = WORK[(api.clock.ms / 2_000) % WORK.length] as (typeof WORK)[number];
    expect(await askOf(api, one)).toEqual(await askOf(quiet, one));
  }
  const refused = statuses.get(429) ?? 0;
  const seconds = (api.clock.ms - began) / 1000;
  const functions = new Set(ROUTES.map((route) => route.function)).size;
  const sent = [...statuses.values()].reduce((sum, count) => sum + count, 0);
  expect(sent - refused).toBeLessThanOrEqual(functions * (LIMITS.requestBurst + seconds));
  expect(refused).toBeGreaterThan(sent / 3);
  expect(await work(api)).toEqual(await work(quiet));
  // A new clock starts at the same time as the first one.
  expect(await work(createApi(table))).toEqual(before);
  expect(api.outside.pushed).toEqual([]);
  expect(api.outside.started).toEqual([]);
});

const PATTERNS: readonly object[] = [
  { source: [{ prefix: '' }] },
  { source: ['bulkhead'] },
  { source: ['bulkhead', 'scanner'] },
  { 'detail-type': [{ 'anything-but': 'x' }] },
  { detail: { tenant: [TENANT] } },
  { detail: { secret: [SECRET] } },
  { $or: [{ source: ['bulkhead'] }, { 'detail-type': [CONVERSION_REQUESTED] }] },
  { source: ['scanner'] },
];
const LEAKS = ['$error($string($))', '$string($)', '$.detail.secret', '$eval($.detail.code)'];

const eventsOfOther = (): Record<string, unknown>[] => {
  const event = (source: string, type: string) => ({
    ...{ id: randomUUID(), source, account: '111122223333', time: '2026-11-24T09:00:00Z' },
    'detail-type': type,
    detail: { tenant: TENANT, secret: SECRET, code: `$error("${SECRET}")`, containerId: testId(1) },
  });
  return [
    ...EVENT_TYPES.map((type) => event('bulkhead', type)),
    event('scanner', CONVERSION_REQUESTED),
    event('scanner', 'Finding'),
  ];
};

test('no rule that a hostile tenant can have matches an event of another tenant', async () => {
  const flooded = createApi(table);
  const put = async (eventPattern: object, expression: string) => {
    const body = { eventPattern, select: { name: `{% ${expression} %}` }, runtimeType: 'Default' };
    const params = { name: `rule-${randomUUID().slice(0, 8)}` };
    return flooded.call('putConversionRule', { params, body, claims: HOSTILE });
  };
  for (const pattern of PATTERNS) for (const leak of LEAKS) await put(pattern, leak);
  const rules = [...flooded.outside.eventRules.values()];
  // The flood above has already created one rule.
  expect(rules.length).toBeGreaterThan(0);
  expect(rules.length).toBeLessThanOrEqual(RULES_PER_TENANT);
  const lines: string[] = [];
  const tell = async () => 'delivered' as const;
  const run = createRunConversionRuleHandler({
    table,
    now: () => new Date(),
    randomBytes,
    logger: createLogger({ level: 'debug', now: () => new Date(), write: (line) => void lines.push(line) }),
    tasks: { succeed: tell, fail: tell, heartbeat: tell },
    startWorkflow: () => Promise.reject(new TypeError('no workflow may be started')),
    eventTenants: { defaultTenant: TENANT, byOrigin: {} },
  }) as (event: unknown) => Promise<Selected>;
  for (const { tenant, name, id, eventPattern } of rules) {
    const letsThrough = compilePattern(boundPattern(eventPattern, tenant));
    for (const event of eventsOfOther()) {
      const isOwnSource = event.source === 'bulkhead';
      if (isOwnSource)
        expect([name, event['detail-type'], letsThrough(event)]).toEqual([name, event['detail-type'], false]);
      // Checked even if the bus delivers the event.
      const input = { tenant, rule: name, ruleId: id, event };
      const started = { execution: randomUUID(), startedAt: '2026-11-24T09:00:00Z', input };
      expect((await run({ step: RULE_STEPS.select, ...started })).items).toEqual([]);
    }
    const runs = await flooded.call('listConversionRuleRuns', { params: { name }, claims: HOSTILE });
    expect(runs.body.items).toEqual([]);
  }
  expect(lines.join('\n')).not.toContain(SECRET);
  expect(lines.length).toBeGreaterThan(0);
});
