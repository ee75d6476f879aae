import type * as z from 'zod/mini';
import type {
  SampleEventSchema,
  TestConversionRuleResponseSchema,
} from '../../core/contract/conversion-rule.ts';
import { ConflictError } from '../../core/domain/errors.ts';
import { isEventOf } from '../../core/domain/event-tenants.ts';
import { type ContainerRecord, getContainer } from '../../store/containers.ts';
import type { ConversionRuleRecord } from '../../store/conversion-rules.ts';
import { createCursors } from '../../store/cursor.ts';
import { decideConversion } from '../../workflow/conversion/decide-conversion.ts';
import { reasonToSkip } from '../../workflow/conversion/rule-cooldown.ts';
import { findContainers } from '../shared/selection/find-containers.ts';
import { resolveSelect } from '../shared/selection/resolve-select.ts';
import type { ConversionRulesDependencies } from './handler.ts';

type Sample = z.infer<typeof SampleEventSchema>;
type Tested = z.infer<typeof TestConversionRuleResponseSchema>;

/** Members that EventBridge adds to an event. */
export const wholeEvent = (sample: Sample, now: Date) => ({
  version: '0',
  id: '00000000-0000-0000-0000-000000000000',
  account: '123456789012',
  region: 'us-east-1',
  time: `${now.toISOString().slice(0, 19)}Z`,
  resources: [],
  ...sample,
});

const nothing = (matches: boolean, reason: string): Tested => ({
  ...{ matches, select: null, reason, containers: [], truncated: false },
});

/** What a rule would do on an event, without doing it. */
export const createTestRule = (deps: ConversionRulesDependencies) => {
  const { table, now, randomBytes, eventRules, eventTenants } = deps;

  const whyNot = async (rule: ConversionRuleRecord, container: ContainerRecord): Promise<string | null> => {
    const { tenant, id: ruleId, runtimeType, cooldownSeconds } = rule;
    const given = { tenant, ruleId, containerId: container.id, to: runtimeType, cooldownSeconds };
    const rests = await reasonToSkip(table, given, now());
    try {
      const decision = await decideConversion(table, container, runtimeType, false);
      if (decision.kind === 'unchanged') return 'already';
      return rests ?? (rule.dryRun ? 'dry-run' : null);
    } catch (error) {
      if (error instanceof ConflictError) return error.code;
      throw error;
    }
  };

  return async (rule: ConversionRuleRecord, sample: Sample): Promise<Tested> => {
    const event = wholeEvent(sample, now());
    const matches = await eventRules.test(rule.eventPattern, event);
    if (!isEventOf(event, rule.tenant, eventTenants))
      return nothing(matches, 'the event is not assigned to this tenant');
    const resolution = await resolveSelect(rule.tenant, rule.select, event);
    if (resolution.kind === 'nothing') return nothing(matches, resolution.reason);
    const { runtimeType: to, maxContainers: limit } = rule;
    const cursors = createCursors(table, randomBytes);
    const found = await findContainers(table, cursors, rule.tenant, resolution.select, { to, limit });
    const containers: Tested['containers'] = [];
    for (const { id } of found.containers) {
      // The decision depends on `ranAs`, which the index does not have.
      const container = await getContainer(table, rule.tenant, id);
      if (container === undefined) continue;
      const { name, runtimeType, state } = container.view;
      const why = await whyNot(rule, container);
      containers.push({
        containerId: container.id,
        name,
        runtimeType,
        state,
        would: why === null ? 'convert' : 'skip',
        why,
      });
    }
    return { matches, select: resolution.select, reason: null, containers, truncated: found.truncated };
  };
};
