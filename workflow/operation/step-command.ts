import { STEPS, TIMES } from '../../core/contract/deployment.ts';
import { stepCommandId, type UnsignedCommand } from '../../store/commands.ts';
import type { OperationRecord } from '../../store/operations.ts';
import type { CurrentOperation } from './current-operation.ts';
import { stepArguments } from './step-arguments.ts';

interface StepOf extends CurrentOperation {
  readonly step: string;
  /** Of the step that waits; null if no execution runs the operation. */
  readonly token: string | null;
}

const ttlSecondsOf = (step: string, { view }: OperationRecord, now: Date): number =>
  step === STEPS.undo
    ? TIMES.undoSeconds
    : Math.max(1, Math.ceil((Date.parse(view.deadline) - now.getTime()) / 1000));

/** The command of an operation's step; null if there is no host, or nothing to do for it. */
export const stepCommand = (
  { operation, container, step, token }: StepOf,
  now: Date,
): UnsignedCommand | null => {
  const hostId = container === undefined ? operation.view.hostId : container.view.hostId;
  const given = stepArguments(step, operation, container);
  if (hostId === null || given === null) return null;
  const ttlSeconds = ttlSecondsOf(step, operation, now);
  const { tenant, id: operationId, epoch } = operation;
  return {
    tenant,
    command: {
      id: stepCommandId(operationId, step, epoch),
      hostId,
      containerId: operation.view.containerId,
      epoch,
      ttlSeconds,
      arguments: given,
    },
    state: 'pending',
    taskToken: token,
    operationId,
    step,
    result: null,
    expiresAt: now.getTime() + ttlSeconds * 1000,
  };
};
