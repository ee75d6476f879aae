import { STEPS, type WorkflowStepEvent } from '../../core/contract/deployment.ts';
import {
  type CommandRecord,
  giveCommand,
  type SignCommand,
  stepCommandId,
  withdrawCommands,
} from '../../store/commands.ts';
import { replaceOperation } from '../../store/operations.ts';
import { retryOnConflict } from '../../store/retry-on-conflict.ts';
import { answerTask } from '../../workflow/operation/answer-task.ts';
import {
  type CurrentOperation,
  isCancelled,
  isCurrent,
  readCurrentOperation,
} from '../../workflow/operation/current-operation.ts';
import { failCancelled, failSuperseded } from '../../workflow/operation/fail-step.ts';
import { hostStep } from '../../workflow/operation/host-step.ts';
import { nextOperation } from '../../workflow/operation/next-records.ts';
import { stepCommand } from '../../workflow/operation/step-command.ts';
import type { Push } from '../shared/hosts/push.ts';
import { wakeHost } from '../shared/hosts/wake-host.ts';
import {
  type CompletionDependencies,
  completeOperation,
  completesOperation,
} from '../shared/steps/complete-operation.ts';
import { tokenOf } from '../shared/steps/task-token.ts';

interface DispatchCommandDependencies extends CompletionDependencies {
  readonly push: Push;
  readonly sign: SignCommand;
}

/** Steps that Undo reverses. */
const UNDONE: readonly string[] = [
  STEPS.prepare,
  STEPS.provisionUtilityVm,
  STEPS.start,
  STEPS.restart,
  STEPS.convert,
];

/**
 * A step on a host: the command is written, then pushed. A lost push only costs time: at its next heartbeat the host
 * gets every command that it has not answered.
 */
export const createDispatchCommandHandler = (deps: DispatchCommandDependencies) => {
  const { table, now, tasks, push, sign, logger } = deps;

  /** From here on a late result of the host completes nothing. */
  const showUndoing = (event: WorkflowStepEvent): Promise<void> =>
    retryOnConflict(async () => {
      const found = await readCurrentOperation(table, event);
      if (found === undefined || !isCurrent(found, event) || found.operation.undoing === true) return;
      const undoing = nextOperation(found.operation, { undoing: true }, now().toISOString());
      await table.transact([replaceOperation(found.operation, undoing)]);
    });

  /** The first step of an operation without placement marks it as running. Later steps need no write. */
  const showRunning = (event: WorkflowStepEvent): Promise<void> =>
    retryOnConflict(async () => {
      const found = await readCurrentOperation(table, event);
      if (found === undefined || found.operation.view.state !== 'Pending') return;
      const at = now().toISOString();
      const step = { name: event.step, state: 'Running' as const, startedAt: at, durationMs: null };
      const running = nextOperation(found.operation, { view: { state: 'Running', steps: [step] } }, at);
      await table.transact([replaceOperation(found.operation, running)]);
    });

  const prepareUndo = async (event: WorkflowStepEvent, hostId: string | null): Promise<void> => {
    await showUndoing(event);
    if (hostId === null) return;
    const ids = UNDONE.map((step) => stepCommandId(event.operationId, step, event.epoch));
    await withdrawCommands(table, { tenant: event.tenant, hostId }, ids);
  };

  const answer = async (event: WorkflowStepEvent, token: string, given: CommandRecord): Promise<unknown> =>
    completesOperation(given, given.result)
      ? completeOperation(deps, event, { token, command: given })
      : answerTask(tasks, given);

  const dispatch = async (
    event: WorkflowStepEvent,
    token: string,
    found: CurrentOperation,
  ): Promise<void> => {
    const record = stepCommand({ ...found, step: event.step, token }, now());
    if (event.step === STEPS.undo) await prepareUndo(event, record?.command.hostId ?? null);
    if (record === null) {
      if (event.step === STEPS.undo) await tasks.succeed(token, {});
      else await completeOperation(deps, event, { token, command: null });
      return;
    }
    const given = await giveCommand(table, sign, record);
    if (given.state === 'answered') {
      await answer(event, token, given);
      return;
    }
    if (given.state === 'pending') await wakeHost({ table, push, logger }, given);
    if (found.operation.view.state === 'Pending') await showRunning(event);
  };

  return async (event: WorkflowStepEvent): Promise<void> => {
    const token = tokenOf(event);
    const found = await readCurrentOperation(table, event);
    const isGeneric = event.step === STEPS.command && found !== undefined;
    const step = isGeneric ? (hostStep(found.operation) ?? event.step) : event.step;
    if (found?.operation.view.state === 'Succeeded') await tasks.succeed(token, {});
    else if (found === undefined || !isCurrent(found, event)) await failSuperseded(tasks, token);
    else if (isCancelled(found, step)) await failCancelled(tasks, token);
    else await dispatch({ ...event, step }, token, found);
  };
};
