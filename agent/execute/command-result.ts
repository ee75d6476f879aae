import type { CommandResult, ObservedContainer } from '../../core/contract/agent/commands.ts';
import type { IsolationReport, Process } from '../../core/contract/compute-process.ts';
import type { OperationStep } from '../../core/contract/operation.ts';
import { AgentError, messageOf, RuntimeError } from '../errors.ts';
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

type Succeeded = Extract<CommandResult, { status: 'succeeded' }>;

/** The first processes that fit in `room` bytes. */
const firstIn = (room: number, processes: readonly Process[]): Process[] => {
  let left = room;
  return processes.filter((process) => {
    left -= bytes(process) + 1;
    return left >= 0;
  });
};

const omitProcesses = (result: Succeeded, processes: readonly Process[], limit: number): Succeeded => {
  const rest = { ...result, processes: [], processesOmitted: processes.length };
  const kept = firstIn(limit - bytes(rest), processes);
  return { ...rest, processes: kept, processesOmitted: processes.length - kept.length };
};

/** Each of the two lists gets half, because they have the same processes in a container that shares the host's kernel. */
const omitFromReport = (result: Succeeded, report: IsolationReport, limit: number): Succeeded => {
  const { containerProcesses, visibleOnHost } = report;
  const emptied = { ...report, containerProcesses: [], visibleOnHost: [] };
  const rest = { ...result, isolation: emptied, processesOmitted: containerProcesses.length };
  const half = Math.floor((limit - bytes(rest)) / 2);
  const kept = firstIn(half, containerProcesses);
  return {
    ...rest,
    isolation: { ...report, containerProcesses: kept, visibleOnHost: firstIn(half, visibleOnHost) },
    processesOmitted: containerProcesses.length - kept.length,
  };
};

const omitDetails = <T extends CommandResult>(result: T): T => ({
  ...result,
  steps: result.steps.map(({ detail: _, ...step }) => step),
});

const shorten = (result: CommandResult, limit: number): CommandResult => {
  if (result.status === 'failed') return omitDetails(result);
  if (result.processes !== undefined) return omitProcesses(result, result.processes, limit);
  if (result.isolation !== undefined) return omitFromReport(result, result.isolation, limit);
  return omitDetails(result);
};

/**
 * The result, shortened to a message of `limit` bytes: processes are omitted from the end of lists and counted, or the details
 * of steps are omitted. If that is not enough, a failure takes its place. The control plane closes the connection of a host
 * that sends a longer message, and the host would send it again after each reconnect.
 */
export const fitResult = (result: CommandResult, limit: number): CommandResult => {
  if (bytes(result) <= limit) return result;
  const shortened = shorten(result, limit);
  if (bytes(shortened) <= limit) return shortened;
  const reason = `The answer has ${bytes(result)} bytes. A host can send at most ${limit}.`;
  return failedResult(result.commandId, new RuntimeError('step-failed', reason));
};
