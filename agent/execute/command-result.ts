import type { CommandResult, ObservedContainer } from '../../core/contract/agent/commands.ts';
import type { OperationStep } from '../../core/contract/operation.ts';
import { AgentError, messageOf } from '../errors.ts';
import { StepFailure } from './execute-plan.ts';

const LONGEST_MESSAGE = 4_096;

/** The result of a failed command: step, reason and suggestion. */
export const failedResult = (
  commandId: string,
  error: unknown,
  steps: readonly OperationStep[] = [],
  observed: ObservedContainer | null = null,
): CommandResult => {
  const cause = error instanceof StepFailure ? error.cause : error;
  const code = cause instanceof AgentError ? cause.code : 'internal';
  return {
    status: 'failed',
    commandId,
    steps: [...steps],
    observed,
    error: {
      code,
      message: messageOf(error).slice(0, LONGEST_MESSAGE),
      ...(error instanceof StepFailure ? { step: error.step } : {}),
      ...(cause instanceof AgentError && cause.suggestion !== undefined
        ? { suggestion: cause.suggestion }
        : {}),
    },
  };
};

const bytes = (value: unknown): number => Buffer.byteLength(JSON.stringify(value), 'utf8');

/**
 * The result, shortened to a message of `limit` bytes: processes are omitted from the end of the list and counted; if that is
 * not enough, the details of steps are omitted.
 */
export const fitResult = (result: CommandResult, limit: number): CommandResult => {
  if (bytes(result) <= limit) return result;
  if (result.status === 'succeeded' && result.processes !== undefined) {
    const { processes, ...rest } = result;
    let room = limit - bytes({ ...rest, processes: [], processesOmitted: processes.length });
    const kept = processes.filter((process) => {
      room -= bytes(process) + 1;
      return room >= 0;
    });
    return { ...rest, processes: kept, processesOmitted: processes.length - kept.length };
  }
  return { ...result, steps: result.steps.map(({ detail: _, ...step }) => step) };
};
