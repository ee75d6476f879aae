import * as z from 'zod/mini';
import { RuntimeTypeSchema, TimestampSchema } from './primitives.ts';

const PROBE_OUTCOMES = [
  /** It was there, and what was tried has succeeded. */
  'reached',
  /** It was tried, and denied. */
  'refused',
  /** There was nothing to try it on. */
  'absent',
  /** The same as the host's. */
  'shared',
  /** The container's own. */
  'separate',
  'limited',
  'unlimited',
  /** The probe did not say, e.g. because a process of the container has ended it. */
  'unknown',
] as const;
export const ProbeOutcomeSchema = z.enum(PROBE_OUTCOMES);
export type ProbeOutcome = z.infer<typeof ProbeOutcomeSchema>;

export const PROBE_DETAIL_LENGTH = 400;

export const ProbeResultSchema = z.strictObject({
  name: z.string(),
  /** What was tried, in words. */
  tried: z.string(),
  outcome: ProbeOutcomeSchema,
  /** Whether a container of this runtime type is to have that outcome. */
  expected: z.boolean(),
  /** What came back. */
  detail: z.string().check(z.maxLength(PROBE_DETAIL_LENGTH)),
});
export type ProbeResult = z.infer<typeof ProbeResultSchema>;

/** What a process inside a running container could reach when it tried. */
export const IsolationVerificationSchema = z.strictObject({
  runtimeType: RuntimeTypeSchema,
  verifiedAt: TimestampSchema,
  /** Every probe has an expected outcome. */
  asExpected: z.boolean(),
  probes: z.array(ProbeResultSchema),
  /** The host is simulated: nothing was tried, and the outcomes are those of its model. */
  simulated: z.optional(z.literal(true)),
});
export type IsolationVerification = z.infer<typeof IsolationVerificationSchema>;
