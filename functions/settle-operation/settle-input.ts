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

/** What this function reads of EventBridge's "Step Functions Execution Status Change". */
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

export interface SettleInput extends z.infer<typeof WorkflowInputSchema> {
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

/** As the machine would have said it: an execution's own time-out is `States.Timeout`. */
const errorOf = (status: 'ABORTED' | 'TIMED_OUT' | 'FAILED', error: string | null | undefined): string => {
  if (status === 'TIMED_OUT') return 'States.Timeout';
  return status === 'FAILED' ? (error ?? 'States.TaskFailed') : 'ABORTED';
};

/**
 * What is to be settled, from either caller: the machine's own state, or the rule on executions that ended without it.
 *
 * @returns undefined if it is neither, or the execution is not one of an operation
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
