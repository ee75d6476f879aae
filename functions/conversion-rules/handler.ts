import type { EventTenants } from '../../core/contract/event-tenants.ts';
import { CONVERSION_RULES_ROUTES } from '../../core/contract/http/routes/conversion-rules.ts';
import { ConflictError } from '../../core/domain/errors.ts';
import {
  type ConversionRuleRecord,
  countRules,
  getRule,
  listRules,
  putRule,
  removeRule,
} from '../../store/conversion-rules.ts';
import { createCursors } from '../../store/cursor.ts';
import { retryOnConflict } from '../../store/retry-on-conflict.ts';
import { listRuns } from '../../store/rule-runs.ts';
import type { Table, Write } from '../../store/table.ts';
import { answerDryRun, answerResource } from '../shared/http/answers.ts';
import {
  createHttpHandler,
  type HttpDependencies,
  type LambdaHandler,
} from '../shared/http/create-http-handler.ts';
import type { Answer, RouteHandler } from '../shared/http/exchange.ts';
import { answerPage, pagingOf } from '../shared/http/paging.ts';
import { checkRevision } from '../shared/http/preconditions.ts';
import { toRule } from '../shared/http/resources.ts';
import { notFound } from '../shared/http/validate.ts';
import { boundPattern } from './bound-pattern.ts';
import type { EventRules } from './event-rules.ts';
import { checkSelect, ruleOf } from './rule-of.ts';
import { createTestRule, wholeEvent } from './test-rule.ts';

export interface ConversionRulesDependencies extends HttpDependencies {
  readonly table: Table;
  readonly eventRules: EventRules;
  readonly eventTenants: EventTenants;
  /** Maximum number of rules of a tenant. */
  readonly rulesPerTenant: number;
}

/** A sample event for the validation of a pattern; whether it matches is irrelevant. */
const ANY_EVENT = { source: 'bulkhead.test', 'detail-type': 'Test', detail: {} };

/** The revision of a claim. */
const CLAIMED = 0;

/**
 * Conversion rules. Each is an item of the table and a rule on the bus; the item is authoritative.
 *
 * - A new rule starts as a claim: a disabled item of revision 0, which counts towards the limit. So the bus never has more
 *   rules of a tenant than allowed, even if requests race, EventBridge throttles the deletion, or this function crashes.
 *   A leftover claim is listed; the same PUT completes it and DELETE removes it.
 * - The bus is changed before the item is changed or deleted, so a repeated request completes the change. An event for a
 *   rule that is missing in the table, or has another id there, has no effect.
 * - A request that loses a race for the item restores the bus to the content of the item.
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

  /** Explains why a claim was refused: the limit is reached. */
  const checkRoom = async (tenant: string): Promise<void> => {
    if ((await countRules(table, tenant)) < rulesPerTenant) return;
    throw new ConflictError('rules-exhausted', `The tenant already has ${rulesPerTenant} conversion rules.`, {
      suggestion: 'Remove a rule that is no longer needed, or combine rules with an expression.',
      context: { limit: rulesPerTenant },
    });
  };

  /** Restores the bus to the content of the table. A claim is deleted once its rule is off the bus. */
  const restore = ({ tenant, name, eventRuleName }: ConversionRuleRecord): Promise<void> =>
    retryOnConflict(async () => {
      const rule = await getRule(table, tenant, name);
      if (rule !== undefined && rule.revision > CLAIMED) return eventRules.put(rule);
      await eventRules.remove(eventRuleName);
      if (rule !== undefined) await removeRule(table, rule, { remember: [], token: newId() });
    });

  /** Runs `change`, which sets `touched.rule` before it changes the bus. If it fails, the bus is restored. */
  const orAsItWas = async (
    change: (touched: { rule?: ConversionRuleRecord }) => Promise<Answer>,
  ): Promise<Answer> => {
    const touched: { rule?: ConversionRuleRecord } = {};
    try {
      return await retryOnConflict(() => change(touched));
    } catch (error) {
      if (touched.rule !== undefined) await restore(touched.rule);
      throw error;
    }
  };

  const writeRule = (
    before: ConversionRuleRecord | undefined,
    after: ConversionRuleRecord,
    remember: readonly Write[],
  ): Promise<void> => putRule(table, before, after, { remember, token: newId(), most: rulesPerTenant });

  /** The rule that a PUT replaces; undefined if it is new and within the limit. */
  const findReplaced = async (tenant: string, name: string, ifMatch: number | '*' | null) => {
    const before = await getRule(table, tenant, name);
    if (before !== undefined) checkRevision(ifMatch, before.revision);
    else if (ifMatch !== null) throw notFound();
    else await checkRoom(tenant);
    return before;
  };

  const put: RouteHandler<'putConversionRule'> = async (request) => {
    const { identity, params, body, dryRun, ifMatch, remember } = request;
    const { tenant, actor } = identity;
    await checkSelect(tenant, body.select);
    return orAsItWas(async (touched) => {
      const before = await findReplaced(tenant, params.name, ifMatch);
      const isNew = before === undefined || before.revision === CLAIMED;
      const stamp = { tenant, name: params.name, actor, at: now().toISOString(), id: newId() };
      const after = ruleOf(body, before, stamp);
      boundPattern(after.eventPattern, tenant);
      if (dryRun) {
        await eventRules.test(after.eventPattern, wholeEvent(ANY_EVENT, now()));
        return answerDryRun(`${isNew ? 'create' : 'replace'} conversion rule "${after.name}"`);
      }
      const replaced = before ?? { ...after, enabled: false, revision: CLAIMED };
      if (before === undefined) await writeRule(before, replaced, []);
      touched.rule = after;
      await eventRules.put(after);
      const answer = { ...answerResource(toRule(after)), status: isNew ? 201 : 200 };
      await writeRule(replaced, after, remember(answer));
      return answer;
    });
  };

  const get: RouteHandler<'getConversionRule'> = async ({ identity, params }) =>
    answerResource(toRule(await find(identity.tenant, params.name)));

  const listAll: RouteHandler<'listConversionRules'> = async ({ identity, query }) =>
    answerPage(await listRules(table, cursors, identity.tenant, pagingOf(query)), toRule);

  const remove: RouteHandler<'deleteConversionRule'> = async (request) => {
    const { identity, params, dryRun, ifMatch, remember } = request;
    return orAsItWas(async (touched) => {
      const before = await find(identity.tenant, params.name);
      checkRevision(ifMatch, before.revision);
      if (dryRun) return answerDryRun(`remove conversion rule "${before.name}"`);
      touched.rule = before;
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
    CONVERSION_RULES_ROUTES,
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
