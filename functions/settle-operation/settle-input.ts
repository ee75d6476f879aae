import * as z from 'zod/mini';
import { IdSchema } from '../../core/contract/primitives.ts';
import { TENANT_PATTERN } from '../../store/keys.ts';

const WorkflowInputSchema = z.object({
  tenant: z.string().check(z.regex(TENANT_PATTERN)),
  operationId: IdSchema,
  containerId: z.nullable(IdSchema),
  epoch: z.int(),
});

const FromMachineSchema = z.object({
  ...WorkflowInputSchema.shape,
  failure: z.object({ error: z.string(), cause: z._default(z.string(), '') }),
  undone: z.optional(z.nullable(z.boolean())),
});

/** The members that this function reads of the event "Step Functions Execution Status Change". */
const StatusChangeSchema = z.object({
  'detail-type': z.literal('Step Functions Execution Status Change'),
  detail: z.object({
    status: z.enum(['ABORTED', 'TIMED_OUT', 'FAILED']),
    name: z.string(),
    input: z.nullable(z.string()),
    error: z.optional(z.nullable(z.string())),
    cause: z.optional(z.nullable(z.string())),
  }),
});

interface SettleInput extends z.infer<typeof WorkflowInputSchema> {
  readonly failure: { readonly error: string; readonly cause: string };
  readonly undone: boolean;
}

const parseJson = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
};

/** The error name that the machine would have used: the time-out of an execution is `States.Timeout`. */
const errorOf = (status: 'ABORTED' | 'TIMED_OUT' | 'FAILED', error: string | null | undefined): string => {
  if (status === 'TIMED_OUT') return 'States.Timeout';
  return status === 'FAILED' ? (error ?? 'States.TaskFailed') : 'ABORTED';
};

/**
 * The operation and failure to settle, from either caller: a state of the machine, or the rule on status changes.
 *
 * @returns undefined if the event is neither, or the execution does not belong to an operation
 */
export const parseSettleInput = (event: unknown): SettleInput | undefined => {
  const fromMachine = FromMachineSchema.safeParse(event);
  if (fromMachine.success) return { ...fromMachine.data, undone: fromMachine.data.undone === true };
  const change = StatusChangeSchema.safeParse(event);
  if (!change.success) return undefined;
  const { status, name, input, error, cause } = change.data.detail;
  const given = WorkflowInputSchema.safeParse(parseJson(input ?? ''));
  if (!given.success || given.data.operationId !== name) return undefined;
  return {
    ...given.data,
    failure: { error: errorOf(status, error), cause: cause ?? '' },
    undone: false,
  };
};
