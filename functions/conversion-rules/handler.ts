import type { EventTenants } from '../../core/contract/event-tenants.ts';
import { ConflictError } from '../../core/domain/errors.ts';
import {
  type ConversionRuleRecord,
  countRules,
  getRule,
  listRules,
  putRule,
  removeRule,
  toRule,
} from '../../store/conversion-rules.ts';
import { createCursors } from '../../store/cursor.ts';
import { listRuns } from '../../store/rule-runs.ts';
import type { Table } from '../../store/table.ts';
import { decideAgain } from '../../store/transition.ts';
import { answerDryRun, answerResource } from '../shared/http/answers.ts';
import {
  createHttpHandler,
  type HttpDependencies,
  type LambdaHandler,
} from '../shared/http/create-http-handler.ts';
import type { Answer, RouteHandler } from '../shared/http/exchange.ts';
import { answerPage, pagingOf } from '../shared/http/paging.ts';
import { checkRevision } from '../shared/http/preconditions.ts';
import { notFound } from '../shared/http/validate.ts';
import { boundPattern } from './bound-pattern.ts';
import type { EventRules } from './event-rules.ts';
import { checkSelect, ruleOf } from './rule-of.ts';
import { createTestRule } from './test-rule.ts';

export interface ConversionRulesDependencies extends HttpDependencies {
  readonly table: Table;
  readonly eventRules: EventRules;
  readonly eventTenants: EventTenants;
  /** Most rules of a tenant. */
  readonly rulesPerTenant: number;
}

/** An event that no pattern has to let through: to have a pattern looked at. */
const ANY_EVENT = {
  version: '0',
  id: '0',
  source: 'bulkhead.test',
  account: '123456789012',
  time: '2026-01-01T00:00:00Z',
  region: 'us-east-1',
  resources: [],
  'detail-type': 'Test',
  detail: {},
};

/**
 * Rules of conversion. Each is an item of the table and a rule on the bus; the item says what is so.
 *
 * - The bus comes first when a rule is made, changed or removed: what is asked for again is then done whole. An event
 *   that the bus lets through for a rule that the table doesn't have, or has another one of, does nothing.
 * - Who loses a race for the item puts the bus back to what the item says.
 */
export const createHandler = (dependencies: ConversionRulesDependencies): LambdaHandler => {
  const { table, now, newId, randomBytes, eventRules, rulesPerTenant } = dependencies;
  const cursors = createCursors(table, randomBytes);
  const testRule = createTestRule(dependencies);

  const find = async (tenant: string, name: string): Promise<ConversionRuleRecord> => {
    const rule = await getRule(table, tenant, name);
    if (rule === undefined) throw notFound();
    return rule;
  };

  /** The bus is only asked where the tenant has room; the write of the rule counts it. */
  const checkRoom = async (tenant: string): Promise<void> => {
    if ((await countRules(table, tenant)) < rulesPerTenant) return;
    throw new ConflictError('rules-exhausted', `The tenant has ${rulesPerTenant} conversion rules already.`, {
      suggestion:
        'Remove a rule that is no longer needed, or select by an expression instead of one rule each.',
      context: { limit: rulesPerTenant },
    });
  };

  /** Runs `change`; should it fail, the bus is made to be as the table has it. */
  const orAsItWas = async (
    touched: { readonly tenant: string; readonly name: string; eventRuleName: string | null },
    change: () => Promise<Answer>,
  ): Promise<Answer> => {
    try {
      return await decideAgain(change);
    } catch (error) {
      if (touched.eventRuleName !== null) {
        const rule = await getRule(table, touched.tenant, touched.name);
        await (rule === undefined ? eventRules.remove(touched.eventRuleName) : eventRules.put(rule));
      }
      throw error;
    }
  };

  const put: RouteHandler<'putConversionRule'> = async (request) => {
    const { identity, params, body, dryRun, ifMatch, remember } = request;
    const { tenant, actor } = identity;
    await checkSelect(tenant, body.select);
    const touched = { tenant, name: params.name, eventRuleName: null as string | null };
    return orAsItWas(touched, async () => {
      const before = await getRule(table, tenant, params.name);
      if (ifMatch !== null && before === undefined) throw notFound();
      if (before !== undefined) checkRevision(ifMatch, before.revision);
      if (before === undefined) await checkRoom(tenant);
      const stamp = { tenant, name: params.name, actor, at: now().toISOString(), id: newId() };
      const after = ruleOf(body, before, stamp);
      boundPattern(after.eventPattern, tenant);
      if (dryRun) {
        await eventRules.test(after.eventPattern, ANY_EVENT);
        return answerDryRun(`${before === undefined ? 'make' : 'replace'} conversion rule "${after.name}"`);
      }
      touched.eventRuleName = after.eventRuleName;
      await eventRules.put(after);
      const answer = { ...answerResource(toRule(after)), status: before === undefined ? 201 : 200 };
      await putRule(table, before, after, {
        remember: remember(answer),
        token: newId(),
        most: rulesPerTenant,
      });
      return answer;
    });
  };

  const get: RouteHandler<'getConversionRule'> = async ({ identity, params }) =>
    answerResource(toRule(await find(identity.tenant, params.name)));

  const listAll: RouteHandler<'listConversionRules'> = async ({ identity, query }) =>
    answerPage(await listRules(table, cursors, identity.tenant, pagingOf(query)), toRule);

  const remove: RouteHandler<'deleteConversionRule'> = async (request) => {
    const { identity, params, dryRun, ifMatch, remember } = request;
    const touched = { tenant: identity.tenant, name: params.name, eventRuleName: null as string | null };
    return orAsItWas(touched, async () => {
      const before = await find(identity.tenant, params.name);
      checkRevision(ifMatch, before.revision);
      if (dryRun) return answerDryRun(`remove conversion rule "${before.name}"`);
      touched.eventRuleName = before.eventRuleName;
      await eventRules.remove(before.eventRuleName);
      const answer: Answer = { status: 204 };
      await removeRule(table, before, { remember: remember(answer), token: newId() });
      return answer;
    });
  };

  const test: RouteHandler<'testConversionRule'> = async ({ identity, params, body }) => ({
    status: 200,
    body: await testRule(await find(identity.tenant, params.name), body.event),
  });

  const runs: RouteHandler<'listConversionRuleRuns'> = async ({ identity, params, query }) => {
    const { tenant, id: ruleId } = await find(identity.tenant, params.name);
    return answerPage(
      await listRuns(table, cursors, { tenant, ruleId }, pagingOf(query), now()),
      (run) => run,
    );
  };

  return createHttpHandler(
    {
      putConversionRule: put,
      getConversionRule: get,
      listConversionRules: listAll,
      deleteConversionRule: remove,
      testConversionRule: test,
      listConversionRuleRuns: runs,
    },
    dependencies,
  );
};
