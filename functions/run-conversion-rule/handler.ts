import * as z from 'zod/mini';
import { RunItemSchema } from '../../core/contract/conversion-rule.ts';
import { RULE_STEPS } from '../../core/contract/deployment.ts';
import { RuntimeTypeSchema } from '../../core/contract/primitives.ts';
import { endRun } from '../../store/rule-runs.ts';
import { createConvert } from './convert.ts';
import type { RunDependencies } from './dependencies.ts';
import { createSelect, type Selected } from './select.ts';

const RunSchema = z.object({ ruleId: z.string(), at: z.string() });

const SelectEventSchema = z.object({
  step: z.literal(RULE_STEPS.select),
  execution: z.string(),
  startedAt: z.string(),
  input: z.unknown(),
});
const ConvertEventSchema = z.object({
  step: z.literal(RULE_STEPS.convert),
  tenant: z.string(),
  run: RunSchema,
  actor: z.string(),
  containerId: z.string(),
  runtimeType: RuntimeTypeSchema,
  cooldownSeconds: z.number(),
  dryRun: z.boolean(),
  taskToken: z.string(),
});
const RecordEventSchema = z.object({
  step: z.literal(RULE_STEPS.record),
  tenant: z.string(),
  run: z.nullable(RunSchema),
  outcomes: z.array(RunItemSchema),
});
const EventSchema = z.discriminatedUnion('step', [SelectEventSchema, ConvertEventSchema, RecordEventSchema]);

/** The steps of convert-by-rule: Select, then Convert for each container, then Record. Each is idempotent. */
export const createRunConversionRuleHandler = (deps: RunDependencies) => {
  const select = createSelect(deps);
  const convert = createConvert(deps);
  const record = async ({ tenant, run, outcomes }: z.infer<typeof RecordEventSchema>): Promise<void> => {
    if (run !== null) await endRun(deps.table, { tenant, ...run }, outcomes, deps.now().toISOString());
  };
  // biome-ignore lint/suspicious/noConfusingVoidType: some steps return nothing
  return async (given: unknown): Promise<Selected | void> => {
    const event = z.parse(EventSchema, given);
    switch (event.step) {
      case RULE_STEPS.select:
        return select(event as Parameters<typeof select>[0]);
      case RULE_STEPS.convert:
        return convert(event);
      case RULE_STEPS.record:
        return record(event);
    }
  };
};
