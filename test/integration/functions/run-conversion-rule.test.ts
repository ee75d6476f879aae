import { randomBytes, randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { CONVERSION_REQUESTED, type RuleRun } from '../../../core/contract/conversion-rule.ts';
import { RULE_STEPS, WORKFLOW_ERRORS } from '../../../core/contract/deployment.ts';
import { ruleOf } from '../../../functions/conversion-rules/rule-of.ts';
import { createRunConversionRuleHandler } from '../../../functions/run-conversion-rule/handler.ts';
import type { Selected } from '../../../functions/run-conversion-rule/select.ts';
import { type ConversionRuleRecord, putRule, removeRule } from '../../../store/conversion-rules.ts';
import { createCursors } from '../../../store/cursor.ts';
import { lookUp } from '../../../store/look-up.ts';
import { listRuns } from '../../../store/rule-runs.ts';
import { openWorld, type World } from '../../helpers/control-plane-world.ts';
import { type Engine, startEngine } from '../../helpers/dynoxide.ts';
import { AT, TENANT } from '../../helpers/records.ts';

let engine: Engine;
let world: World;
let answers: { token: string; kind: 'success' | 'failure'; what: unknown }[];
let run: (event: unknown) => Promise<Selected>;
beforeAll(async () => {
  engine = await startEngine();
});
afterAll(() => engine.stop());
beforeEach(async () => {
  world = openWorld(await engine.table());
  await world.connect(await world.addHost());
  await world.settle();
  answers = [];
  const handler = createRunConversionRuleHandler({
    ...world.deps,
    randomBytes,
    tasks: {
      succeed: async (token, what) => {
        answers.push({ token, kind: 'success', what });
        return 'delivered';
      },
      fail: async (token, what) => {
        answers.push({ token, kind: 'failure', what });
        return 'delivered';
      },
      heartbeat: async () => 'delivered',
    },
    startWorkflow: async (operation) => world.tasks.start(operation),
    eventTenants: {
      defaultTenant: TENANT,
      byOrigin: { 'aws.guardduty': ['umbrella'], 'aws.guardduty@111122223333': [TENANT, 'umbrella'] },
    },
  });
  run = handler as (event: unknown) => Promise<Selected>;
});

const makeRule = async (change: object = {}): Promise<ConversionRuleRecord> => {
  const body = {
    eventPattern: { source: ['scanner'] },
    select: { name: '{% $.detail.name %}' },
    runtimeType: 'HyperV',
    ...change,
  };
  const rule = ruleOf(body, undefined, { tenant: TENANT, name: 'r', actor: 'ann', at: AT, id: randomUUID() });
  await putRule(world.table, undefined, rule, { remember: [], token: randomUUID(), most: 9 });
  return rule;
};
const created = async (options: Parameters<World['create']>[0] = {}) => {
  const { id } = await world.create(options);
  await world.settle();
  const name = (await world.container(id))?.view.name ?? '';
  return { id, name };
};
const eventFor = (detail: object, more: object = {}) => ({
  id: randomUUID(),
  source: 'scanner',
  'detail-type': 'Finding',
  time: '2026-11-24T09:00:00Z',
  detail,
  ...more,
});
const select = (input: unknown, execution: string = randomUUID()) =>
  run({ step: RULE_STEPS.select, execution, startedAt: AT, input });
const ofRule = ({ id, name }: ConversionRuleRecord, event: object, tenant = TENANT) => ({
  tenant,
  rule: name,
  ruleId: id,
  event,
});
const convert = async (selected: Selected, containerId: string, taskToken: string = randomUUID()) => {
  const { items: _, maxConcurrency: __, ...rest } = selected;
  await run({ step: RULE_STEPS.convert, ...rest, containerId, taskToken });
  await world.settle();
  return answers.filter(({ token }) => token === taskToken);
};
const runsOf = async ({ id }: ConversionRuleRecord): Promise<readonly RuleRun[]> => {
  const cursors = createCursors(world.table, randomBytes);
  const request = { limit: 50, cursor: undefined };
  return (await listRuns(world.table, cursors, { tenant: TENANT, ruleId: id }, request, world.deps.now()))
    .items;
};
const conversions = async (id: string) => {
  const page = await world.table.query({
    index: 'gsi3',
    key: { pk: `T#${TENANT}#O@${id}`, sk: '' },
    sort: 'any',
  });
  const operations = await lookUp(world.table, page.items);
  return operations.filter((item) => item?.view?.M?.kind?.S === 'convert').length;
};

describe('an event of a rule', () => {
  test('that is delivered five times selects once, in the first execution', async () => {
    const { id, name } = await created();
    const rule = await makeRule();
    const input = ofRule(rule, eventFor({ name }));
    const first = await select(input, 'one');
    expect(first.items).toEqual([{ containerId: id, name }]);
    for (const execution of ['two', 'three', 'four', 'five'])
      expect((await select(input, execution)).items).toEqual([]);
    // The first execution's step, invoked again.
    expect(await select(input, 'one')).toEqual(first);
    await convert(first, id, 'token');
    expect(await conversions(id)).toBe(1);
    expect(await runsOf(rule)).toMatchObject([{ state: 'Running', matched: 1, truncated: false }]);
  });

  test('whose step is invoked again starts nothing again, and waits with the new token', async () => {
    const { id, name } = await created();
    const selected = await select(ofRule(await makeRule(), eventFor({ name })));
    const { items: _, maxConcurrency: __, ...rest } = selected;
    for (const taskToken of ['a', 'b'])
      await run({ step: RULE_STEPS.convert, ...rest, containerId: id, taskToken });
    expect(await conversions(id)).toBe(1);
    const operationId = (await world.container(id))?.view.activeOperationId ?? '';
    expect((await world.operation(operationId)).notify).toBe('b');
    await world.settle();
    expect(await convert(selected, id, 'c')).toEqual([
      { token: 'c', kind: 'success', what: { outcome: 'converted', operationId, why: null } },
    ]);
    expect(await conversions(id)).toBe(1);
  });

  test('of a rule that is removed, recreated, disabled or another tenant’s has no effect', async () => {
    const { name } = await created();
    const rule = await makeRule();
    const event = eventFor({ name });
    expect((await select(ofRule(rule, event, 'umbrella'))).items).toEqual([]);
    expect((await select(ofRule({ ...rule, id: randomUUID() }, event))).items).toEqual([]);
    await putRule(
      world.table,
      rule,
      { ...rule, enabled: false, revision: 2 },
      { remember: [], token: randomUUID(), most: 9 },
    );
    expect((await select(ofRule(rule, event))).items).toEqual([]);
    await removeRule(world.table, { ...rule, revision: 2 }, { remember: [], token: randomUUID() });
    expect((await select(ofRule(rule, event))).items).toEqual([]);
  });

  test('of Bulkhead belongs only to the tenant in it', async () => {
    const { name } = await created();
    const rule = await makeRule();
    const own = (tenant: string) => eventFor({ name, tenant }, { source: 'bulkhead' });
    expect((await select(ofRule(rule, own('umbrella')))).items).toEqual([]);
    expect((await select(ofRule(rule, own(TENANT)))).items).toHaveLength(1);
    expect(await runsOf(rule)).toHaveLength(1);
  });

  /** An attack: a rule whose selection fails with the whole event in its error message. */
  const LEAK = { select: { name: '{% $error($string($)) %}' }, eventPattern: { source: [{ prefix: '' }] } };
  const foreign: [string, object][] = [
    [
      'Bulkhead’s own of another tenant',
      { source: 'bulkhead', detail: { tenant: 'umbrella', secret: 'S3CRET' } },
    ],
    ['Bulkhead’s own of no tenant', { source: 'bulkhead', detail: { secret: 'S3CRET' } }],
    [
      'a request that names another tenant',
      { 'detail-type': CONVERSION_REQUESTED, detail: { tenant: 'umbrella', reason: 'S3CRET' } },
    ],
    ['a finding that is assigned to another tenant', { source: 'aws.guardduty', detail: { id: 'S3CRET' } }],
    [
      'a finding of an account that is not assigned',
      { source: 'aws.guardduty', account: '999999999999', detail: { id: 'S3CRET' } },
    ],
  ];
  test.each(foreign)('of another tenant is not evaluated, and causes no run: %s', async (_, event) => {
    const rule = await makeRule(LEAK);
    expect((await select(ofRule(rule, eventFor({}, event)))).items).toEqual([]);
    expect(await runsOf(rule)).toEqual([]);
    expect(JSON.stringify(world.lines)).not.toContain('S3CRET');
  });

  const assigned: [string, object][] = [
    ['a source that nothing names', {}],
    ['a source in an account', { source: 'aws.guardduty', account: '111122223333' }],
    ['a request that names no tenant', { 'detail-type': CONVERSION_REQUESTED }],
  ];
  test.each(assigned)(
    'of its tenant is accepted, and a failing expression quotes nothing from it: %s',
    async (_, event) => {
      const rule = await makeRule(LEAK);
      await select(ofRule(rule, eventFor({ secret: 'S3CRET' }, event)));
      const runs = await runsOf(rule);
      expect(runs).toMatchObject([{ reason: 'name: the expression failed with D3137 at position 7' }]);
      expect(JSON.stringify(runs)).not.toContain('S3CRET');
    },
  );

  test('cannot determine the tenant, rule or limits', async () => {
    const { name } = await created();
    const forged = eventFor(
      { name, tenant: 'umbrella' },
      { tenant: 'umbrella', ruleId: 'x', maxContainers: 99 },
    );
    expect(await select(ofRule(await makeRule(), forged))).toMatchObject({
      tenant: TENANT,
      maxConcurrency: 5,
    });
  });
});

describe('one container of a run', () => {
  const selectedFor = async (name: string, rule: object = {}) =>
    select(ofRule(await makeRule(rule), eventFor({ name })));
  const skipped = (why: string) => [
    { kind: 'success', what: { outcome: 'skipped', operationId: null, why }, token: expect.any(String) },
  ];

  test('that has the type, is missing or must not be converted is skipped with the reason', async () => {
    const already = await created({ runtimeType: 'HyperV' });
    expect(await convert(await selectedFor(already.name), already.id)).toEqual(skipped('already'));
    const back = { ...(await selectedNothing()), runtimeType: 'Default' };
    expect(await convert(back, already.id)).toEqual(skipped('untrusted-disk'));
    expect(await convert(back, randomUUID())).toEqual(skipped('not-found'));
  });

  const selectedNothing = async (): Promise<Selected> => ({
    tenant: TENANT,
    run: { ruleId: 'r', at: 'x' },
    actor: 'rule:r',
    runtimeType: 'HyperV',
    cooldownSeconds: 0,
    dryRun: false,
    maxConcurrency: 1,
    items: [],
  });

  test('that is being converted to the type is skipped; one with another operation is retried later', async () => {
    const { id } = await created();
    const selected = await selectedNothing();
    const host = [...world.hosts.values()][0];
    host?.silentOn.add('convertContainer');
    await world.convert(id, 'HyperV');
    await world.settle();
    expect(await convert(selected, id)).toEqual(skipped('converting'));
    const stopping = await created();
    host?.silentOn.add('stopContainer');
    await world.begin(stopping.id, 'stop');
    await world.settle();
    expect(await convert(selected, stopping.id)).toMatchObject([
      { kind: 'failure', what: WORKFLOW_ERRORS.busy },
    ]);
  });

  test('is skipped in a dry run, and nothing is changed', async () => {
    const { id, name } = await created();
    expect(await convert(await selectedFor(name, { dryRun: true }), id)).toEqual(skipped('dry-run'));
    expect(await conversions(id)).toBe(0);
  });

  test('is skipped by the rule until its cooldown is over', async () => {
    const { id, name } = await created({ start: false });
    const rule = await makeRule({ cooldownSeconds: 60 });
    await convert(await select(ofRule(rule, eventFor({ name }))), id);
    expect((await world.container(id))?.view.runtimeType).toBe('HyperV');
    await world.convert(id, 'Default');
    await world.settle();
    expect(await convert(await select(ofRule(rule, eventFor({ name }))), id)).toEqual(skipped('cooldown'));
    world.clock.now += 61_000;
    await convert(await select(ofRule(rule, eventFor({ name }))), id);
    expect(await conversions(id)).toBe(3);
  });
});

describe('two rules', () => {
  test('cannot convert a container back and forth, and isolation is never delayed', async () => {
    const { id } = await created({ start: false });
    const isolates = await makeRule({ select: { containerId: id } });
    const releases = { ...isolates, id: randomUUID(), name: 'releases', runtimeType: 'Default' as const };
    await putRule(world.table, undefined, releases, { remember: [], token: randomUUID(), most: 9 });
    // If a conversion was started, the end of its operation answers the task.
    const act = async (rule: ConversionRuleRecord) => {
      const [answer] = await convert(await select(ofRule(rule, eventFor({}))), id);
      return answer?.what ?? (await world.container(id))?.view.runtimeType;
    };
    expect(await act(isolates)).toBe('HyperV');
    for (let round = 0; round < 3; round += 1) {
      expect(await act(releases)).toMatchObject({ outcome: 'skipped', why: 'flapping' });
      expect((await world.container(id))?.view.runtimeType).toBe('HyperV');
    }
    world.clock.now += 3_601_000;
    expect(await act(releases)).toBe('Default');
    expect(await act(isolates)).toBe('HyperV');
    expect(await act(releases)).toMatchObject({ outcome: 'skipped', why: 'flapping' });
  });
});

describe('a conversion request', () => {
  const request = (detail: object) => eventFor(detail, { 'detail-type': CONVERSION_REQUESTED });

  test('on the bus is for the tenant in it, or for the deployment’s default tenant', async () => {
    const { id, name } = await created();
    const byName = await select(request({ select: { name }, runtimeType: 'hyperv' }));
    expect(byName).toMatchObject({ tenant: TENANT, runtimeType: 'HyperV', items: [{ containerId: id }] });
    const foreign = await select(request({ tenant: 'umbrella', containerId: id, runtimeType: 'HyperV' }));
    expect(foreign).toMatchObject({ tenant: 'umbrella', items: [] });
  });

  test.each([
    ['no members', {}],
    ['no type', { containerId: randomUUID() }],
    ['no container', { runtimeType: 'HyperV' }],
    ['an invalid tenant', { tenant: 'a#b', containerId: randomUUID(), runtimeType: 'HyperV' }],
    ['an empty selection', { select: {}, runtimeType: 'HyperV' }],
  ])('with %s selects no containers', async (_, detail) => {
    expect((await select(request(detail))).items).toEqual([]);
    expect((await select(detail)).items).toEqual([]);
  });

  test('as plain input is processed once per execution', async () => {
    const { id } = await created();
    const input = { containerId: id, runtimeType: 'HyperV', reason: 'nightly' };
    expect((await select(input, 'nightly-1')).items).toHaveLength(1);
    expect((await select(input, 'nightly-2')).items).toHaveLength(1);
  });
});

describe('the record of a run', () => {
  test('has the outcome of each container, and their counts', async () => {
    const { id, name } = await created();
    const rule = await makeRule();
    const { tenant, run: key } = await select(ofRule(rule, eventFor({ name })));
    const outcomes = [
      { containerId: id, name, outcome: 'converted', operationId: randomUUID(), why: null },
      { containerId: randomUUID(), name: 'b', outcome: 'skipped', operationId: null, why: 'already' },
      {
        containerId: randomUUID(),
        name: 'c',
        outcome: 'failed',
        operationId: randomUUID(),
        why: 'step-failed',
      },
    ];
    await run({ step: RULE_STEPS.record, tenant, run: key, outcomes });
    expect(await runsOf(rule)).toMatchObject([
      {
        state: 'Ended',
        converted: 1,
        skipped: 1,
        failed: 1,
        containers: outcomes,
        endedAt: expect.any(String),
      },
    ]);
    await run({ step: RULE_STEPS.record, tenant: '', run: null, outcomes: [] });
  });

  test('whose execution ended without an outcome is Failed after its time limit', async () => {
    const { name } = await created();
    const rule = await makeRule();
    await select(ofRule(rule, eventFor({ name })));
    world.clock.now += 3 * 3600_000;
    expect(await runsOf(rule)).toMatchObject([{ state: 'Failed' }]);
  });
});
