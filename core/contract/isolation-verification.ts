import * as z from 'zod/mini';
import { RuntimeTypeSchema, TimestampSchema } from './primitives.ts';

const PROBE_OUTCOMES = [
  /** The attempt succeeded. */
  'reached',
  /** The attempt was denied. */
  'refused',
  /** The target of the attempt does not exist. */
  'absent',
  /** Shared with the host. */
  'shared',
  /** Separate for the container. */
  'separate',
  'limited',
  'unlimited',
  /** The probe gave no result, e.g. because a process of the container killed it. */
  'unknown',
] as const;
export const ProbeOutcomeSchema = z.enum(PROBE_OUTCOMES);
export type ProbeOutcome = z.infer<typeof ProbeOutcomeSchema>;

export const PROBE_DETAIL_LENGTH = 400;

export const ProbeResultSchema = z.strictObject({
  name: z.string(),
  /** Description of the attempt. */
  tried: z.string(),
  outcome: ProbeOutcomeSchema,
  /** Whether this outcome is expected for the runtime type. */
  expected: z.boolean(),
  /** The result of the attempt. */
  detail: z.string().check(z.maxLength(PROBE_DETAIL_LENGTH)),
});
export type ProbeResult = z.infer<typeof ProbeResultSchema>;

/** What a process inside a running container could reach. */
export const IsolationVerificationSchema = z.strictObject({
  runtimeType: RuntimeTypeSchema,
  verifiedAt: TimestampSchema,
  /** Every probe has an expected outcome. */
  asExpected: z.boolean(),
  probes: z.array(ProbeResultSchema),
  /** The host is simulated: the outcomes come from its model. */
  simulated: z.optional(z.literal(true)),
});
export type IsolationVerification = z.infer<typeof IsolationVerificationSchema>;
