import * as z from 'zod/mini';

/**
 * The codes of problem documents. They are stable, so programs can rely on them. core/domain/problems.ts has the HTTP
 * status of each; agents report failures with the same codes.
 */
export const PROBLEM_CODES = [
  'validation-failed',
  'body-too-large',
  'body-not-json',
  'unsupported-media-type',
  'cursor-invalid',
  'unauthorized',
  'missing-scope',
  'not-found',
  'name-taken',
  'operation-in-progress',
  'invalid-state',
  'revision-mismatch',
  'idempotency-key-reused',
  'image-not-found',
  'image-in-use',
  'image-incompatible',
  'host-in-use',
  'host-not-found',
  'host-not-answering',
  'host-lost',
  'no-host-fits',
  'switch-not-found',
  'runtime-type-unsupported',
  'runtime-conversion-unsupported',
  'untrusted-disk',
  'enrollment-token-invalid',
  'operation-already-ended',
  'operation-cancelled',
  'operation-aborted',
  'deadline-exceeded',
  'step-failed',
  'process-exited',
  'no-command',
  'program-not-found',
  'program-not-executable',
  'not-supported-yet',
  'command-not-authentic',
  'session-token-invalid',
  'session-token-mismatch',
  'session-token-used',
  'session-token-expired',
  'session-ended',
  'quota-exceeded',
  'rules-exhausted',
  'too-many-requests',
  'too-busy',
  'internal',
] as const;
export const ProblemCodeSchema = z.enum(PROBLEM_CODES);
export type ProblemCode = z.infer<typeof ProblemCodeSchema>;

/** RFC 9457, with the members that this API adds. */
export const ProblemSchema = z.strictObject({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  code: ProblemCodeSchema,
  detail: z.string(),
  requestId: z.optional(z.string()),
  suggestion: z.optional(z.string()),
  errors: z.optional(z.array(z.strictObject({ pointer: z.string(), detail: z.string() }))),
  /** Facts about the error, e.g. the id of the operation in progress. */
  context: z.optional(z.record(z.string(), z.unknown())),
});
export type Problem = z.infer<typeof ProblemSchema>;
