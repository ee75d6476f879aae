import * as z from 'zod/mini';
import {
  described,
  IdOrNameSchema,
  IdSchema,
  ImageNameSchema,
  LabelKeySchema,
  LabelValueSchema,
  NameSchema,
  RuntimeTypeInputSchema,
  RuntimeTypeSchema,
  TimestampSchema,
} from './primitives.ts';

/** `detail-type` of an event that requests a conversion, from any source. */
export const CONVERSION_REQUESTED = 'Container Runtime Conversion Requested';

export const RULE_LIMITS = {
  /** EventBridge's limit for an event pattern. */
  patternBytes: 2048,
  patternDepth: 16,
  expressionCharacters: 1024,
  maxContainers: 100,
  maxConcurrency: 20,
  cooldownSeconds: 7 * 86_400,
  /** After a rule has converted a container to HyperV, no rule converts it back to Default within this time. */
  flappingSeconds: 3600,
  /** Maximum number of containers that a run reads. The run reports if there were more. */
  containersRead: 5000,
  runsKeptDays: 30,
} as const;

/** `{% … %}`: JSONata, evaluated on the event. Not available: `$eval`, `$random`, `$shuffle`, the operator `|…|…|`. */
export const EXPRESSION_PATTERN = /^\{%[\s\S]+%\}$/;
const ExpressionSchema = z
  .string()
  .check(z.maxLength(RULE_LIMITS.expressionCharacters), z.regex(EXPRESSION_PATTERN));
const orExpression = <T extends z.ZodMiniType>(schema: T) => z.union([schema, ExpressionSchema]);

const atLeastOne = z.refine(
  (value: unknown) => Object.values(value as object).some((member) => member !== undefined),
  'Must have at least one of containerId, name, labels, image.',
);
const someLabels = z.refine(
  (value: unknown) => Object.keys(value as object).length > 0 && Object.keys(value as object).length <= 64,
  'Must have 1 to 64 entries.',
);

/** All given members must match. */
export const SelectSchema = described(
  z
    .strictObject({
      containerId: z.optional(orExpression(IdSchema)),
      name: z.optional(orExpression(NameSchema)),
      labels: z.optional(z.record(LabelKeySchema, orExpression(LabelValueSchema)).check(someLabels)),
      image: z.optional(orExpression(ImageNameSchema)),
    })
    .check(atLeastOne),
  'Selects containers. All given members must match. A value "{% … %}" is a JSONata expression on the event. $eval, $random, $shuffle and transforms are not available. An expression that does not return a string selects nothing.',
);
export type Select = z.infer<typeof SelectSchema>;

/** A selection after its expressions were evaluated. */
export const ResolvedSelectSchema = z.strictObject({
  containerId: z.optional(z.string()),
  name: z.optional(z.string()),
  labels: z.optional(z.record(z.string(), z.string())),
  image: z.optional(z.string()),
});
export type ResolvedSelect = z.infer<typeof ResolvedSelectSchema>;

const EventPatternSchema = described(
  z.record(z.string(), z.unknown()),
  'An EventBridge event pattern, validated by EventBridge. Of Bulkhead’s own events, only those of the tenant match.',
);

const limits = {
  /** A run stops at this number and reports it. */
  maxContainers: z.optional(z.int().check(z.minimum(1), z.maximum(RULE_LIMITS.maxContainers))),
  /** Maximum number of parallel conversions of a run. */
  maxConcurrency: z.optional(z.int().check(z.minimum(1), z.maximum(RULE_LIMITS.maxConcurrency))),
};

export const PutConversionRuleRequestSchema = z.strictObject({
  description: z.optional(z.string().check(z.maxLength(512))),
  eventPattern: EventPatternSchema,
  select: SelectSchema,
  runtimeType: RuntimeTypeInputSchema,
  ...limits,
  /** Time after a conversion in which the rule skips the container. */
  cooldownSeconds: z.optional(z.int().check(z.minimum(0), z.maximum(RULE_LIMITS.cooldownSeconds))),
  enabled: z.optional(z.boolean()),
  /** Runs are recorded with what they would do; nothing is converted. */
  dryRun: z.optional(z.boolean()),
});
export type PutConversionRuleRequest = z.infer<typeof PutConversionRuleRequestSchema>;

export const RULE_DEFAULTS = {
  maxContainers: 10,
  maxConcurrency: 5,
  cooldownSeconds: 0,
  enabled: true,
  dryRun: false,
} as const;

export const ConversionRuleSchema = z.strictObject({
  name: NameSchema,
  description: z.string(),
  eventPattern: EventPatternSchema,
  select: SelectSchema,
  runtimeType: RuntimeTypeSchema,
  maxContainers: z.int(),
  maxConcurrency: z.int(),
  cooldownSeconds: z.int(),
  enabled: z.boolean(),
  dryRun: z.boolean(),
  /** Name of its EventBridge rule on the bus. */
  eventRuleName: z.string(),
  revision: z.int(),
  createdAt: TimestampSchema,
  updatedAt: TimestampSchema,
});
export type ConversionRule = z.infer<typeof ConversionRuleSchema>;

/** An event as EventBridge delivers it; missing members of a sample are filled in. */
export const SampleEventSchema = z.looseObject({
  source: z.string().check(z.minLength(1), z.maxLength(256)),
  account: z.optional(z.string().check(z.maxLength(64))),
  'detail-type': z.string().check(z.minLength(1), z.maxLength(128)),
  detail: z.record(z.string(), z.unknown()),
});
export const TestConversionRuleRequestSchema = z.strictObject({ event: SampleEventSchema });

const what = { containerId: IdSchema, name: NameSchema };

export const TestConversionRuleResponseSchema = z.strictObject({
  /** Whether the pattern matches the event, according to EventBridge. */
  matches: z.boolean(),
  /** The evaluated selection; null if an expression failed, so that nothing is selected. */
  select: z.nullable(ResolvedSelectSchema),
  /** Why nothing is selected, if so. */
  reason: z.optional(z.nullable(z.string())),
  containers: z.array(
    z.strictObject({
      ...what,
      runtimeType: RuntimeTypeSchema,
      state: z.string(),
      would: z.enum(['convert', 'skip']),
      why: z.nullable(z.string()),
    }),
  ),
  /** More than `maxContainers` containers match, so a run would stop at that number. */
  truncated: z.boolean(),
});

export const RUN_OUTCOMES = ['converted', 'skipped', 'failed'] as const;
export const RunItemSchema = z.strictObject({
  ...what,
  outcome: z.enum(RUN_OUTCOMES),
  operationId: z.nullable(IdSchema),
  /** Why it was skipped or failed: a problem code, or `dry-run`, `cooldown`, `flapping`, `already`, `converting`. */
  why: z.nullable(z.string()),
});
export type RunItem = z.infer<typeof RunItemSchema>;

export const RuleRunSchema = z.strictObject({
  id: z.string(),
  eventId: z.string(),
  /** `Failed`: its execution ended without recording an outcome. */
  state: z.enum(['Running', 'Ended', 'Failed']),
  startedAt: TimestampSchema,
  endedAt: z.nullable(TimestampSchema),
  /** Number of containers that matched, of those that were read. */
  matched: z.int(),
  truncated: z.boolean(),
  converted: z.int(),
  skipped: z.int(),
  failed: z.int(),
  /** Why nothing was selected, if so. */
  reason: z.nullable(z.string()),
  containers: z.array(RunItemSchema),
});
export type RuleRun = z.infer<typeof RuleRunSchema>;

/**
 * A conversion request as an event, or as the input of the state machine from a user's own rule, schedule or pipe. A
 * principal that can put events on the bus or start the machine is trusted with every tenant; IAM controls this.
 */
export const ConversionRequestSchema = z.looseObject({
  /** @default the tenant in the deployment's configuration */
  tenant: z.optional(z.string()),
  containerId: z.optional(IdOrNameSchema),
  select: z.optional(SelectSchema),
  runtimeType: RuntimeTypeInputSchema,
  reason: z.optional(z.string().check(z.maxLength(512))),
  ...limits,
});
export type ConversionRequest = z.infer<typeof ConversionRequestSchema>;
