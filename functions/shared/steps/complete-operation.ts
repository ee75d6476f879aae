import type { CommandResult } from '../../../core/contract/agent/commands.ts';
import { LATE_SECONDS, STEPS, type WorkflowInput } from '../../../core/contract/deployment.ts';
import { type CommandRecord, deleteCommands } from '../../../store/commands.ts';
import { rememberDowntime } from '../../../store/downtimes.ts';
import type { OperationRecord } from '../../../store/operations.ts';
import type { WorkflowDependencies } from '../../../workflow/dependencies.ts';
import type { Logger } from '../../../workflow/logger.ts';
import { commitOperation } from '../../../workflow/operation/commit-operation.ts';
import { failSuperseded } from '../../../workflow/operation/fail-step.ts';
import type { Tasks } from '../../../workflow/tasks.ts';
import type { Metrics } from '../observability/metrics.ts';

export interface CompletionDependencies extends WorkflowDependencies {
  readonly tasks: Tasks;
  readonly metrics: Metrics;
  readonly logger: Logger;
}

/** Whether this result of a command completes its operation. Each operation has one command, and Undo completes none. */
export const completesOperation = (
  { step }: CommandRecord,
  result: CommandResult | null,
): result is CommandResult & { status: 'succeeded' } =>
  step !== null && step !== STEPS.undo && result?.status === 'succeeded';

/** Stored for the next dry run. A failure to write it has no other effect. */
const noteDowntime = async (
  { table, logger }: CompletionDependencies,
  operation: OperationRecord,
): Promise<void> => {
  try {
    await rememberDowntime(table, operation);
  } catch (error) {
    logger.warn('could not store a downtime', { operationId: operation.id }, error);
  }
};

/**
 * Ends an operation whose host has done its part, then answers its workflow, then deletes its command. A crash between
 * these is repaired by the next call, because the host repeats its result until it is acknowledged.
 *
 * @param given.token of the workflow's step
 * @param given.command with its result; null if the host had nothing to do
 * @returns `superseded` if the operation no longer has the container, or is being undone: nothing was changed
 */
export const completeOperation = async (
  deps: CompletionDependencies,
  input: WorkflowInput,
  { token, command }: { readonly token: string | null; readonly command: CommandRecord | null },
): Promise<'completed' | 'superseded'> => {
  const commands = command === null ? [] : [command];
  const outcome = await commitOperation(deps, input, commands);
  if (outcome.kind === 'superseded') {
    if (token !== null) await failSuperseded(deps.tasks, token);
    return 'superseded';
  }
  if (outcome.kind === 'committed') {
    await noteDowntime(deps, outcome.operation);
    const { kind, createdAt, endedAt } = outcome.operation.view;
    const took = (Date.parse(endedAt ?? createdAt) - Date.parse(createdAt)) / 1000;
    deps.metrics.count('operationLate', { kind, seconds: took }, took < LATE_SECONDS ? 0 : 1);
  }
  if (token !== null) await deps.tasks.succeed(token, {});
  await deleteCommands(deps.table, commands);
  return 'completed';
};
