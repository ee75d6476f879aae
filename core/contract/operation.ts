import * as z from 'zod/mini';
import { IdSchema, RuntimeTypeSchema, TimestampSchema, truncatedTo } from './primitives.ts';
import { ProblemSchema } from './problem.ts';

export const OPERATION_STATES = [
  'Pending',
  'Running',
  'Cancelling',
  'Succeeded',
  'Failed',
  'Cancelled',
] as const;
export const OperationStateSchema = z.enum(OPERATION_STATES);
export type OperationState = z.infer<typeof OperationStateSchema>;

export const OPERATION_KINDS = [
  'create',
  'start',
  'stop',
  'restart',
  'kill',
  'remove',
  'convert',
  'importImage',
] as const;
export const OperationKindSchema = z.enum(OPERATION_KINDS);
export type OperationKind = z.infer<typeof OperationKindSchema>;

export const OperationStepSchema = z.strictObject({
  name: truncatedTo(128),
  state: z.enum(['Running', 'Succeeded', 'Failed']),
  startedAt: TimestampSchema,
  /** Measured where the step ran, in milliseconds. */
  durationMs: z.nullable(z.number()),
  detail: z.optional(truncatedTo(1024)),
});
export type OperationStep = z.infer<typeof OperationStepSchema>;

export const ConversionFiguresSchema = z.strictObject({
  from: RuntimeTypeSchema,
  to: RuntimeTypeSchema,
  /**
   * From the end of the old main process until the new one was verified running, in milliseconds, measured by the host.
   * Null if the container was off, or if the downtime is not known yet.
   */
  downtimeMs: z.nullable(z.number()),
});
export type ConversionFigures = z.infer<typeof ConversionFiguresSchema>;

export const OperationSchema = z.strictObject({
  id: IdSchema,
  kind: OperationKindSchema,
  containerId: z.nullable(IdSchema),
  imageName: z.optional(z.string()),
  hostId: z.optional(z.nullable(IdSchema)),
  state: OperationStateSchema,
  /** Why it makes no progress, e.g. that no host has capacity. Null otherwise. */
  reason: z.nullable(z.string()),
  steps: z.array(OperationStepSchema),
  /** Only for a conversion. */
  conversion: z.optional(ConversionFiguresSchema),
  error: z.nullable(ProblemSchema),
  requestedBy: z.string(),
  deadline: TimestampSchema,
  createdAt: TimestampSchema,
  updatedAt: TimestampSchema,
  endedAt: z.nullable(TimestampSchema),
});
export type Operation = z.infer<typeof OperationSchema>;

/** An operation in a list: without `steps`. */
export const OperationSummarySchema = z.omit(OperationSchema, { steps: true });
export type OperationSummary = z.infer<typeof OperationSummarySchema>;
