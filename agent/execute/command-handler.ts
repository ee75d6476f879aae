import type { Command, CommandArguments, CommandResult } from '../../core/contract/agent/commands.ts';
import type { OperationStep } from '../../core/contract/operation.ts';
import { type Cancel, type Clock, nothingToCancel } from '../clock.ts';
import { CommandRefusedError, messageOf, StateUnavailableError, StepAbortedError } from '../errors.ts';
import type { Log } from '../log.ts';
import type { Runtime } from '../runtimes/runtime.ts';
import { awaitsStart, isRunOnce, isSessionVerb, type Sessions } from '../sessions/sessions.ts';
import type { AgentState, CommandRecord, Validity } from '../state/agent-state.ts';
import { failedResult, fitResult } from './command-result.ts';
import { changesContainer } from './container-work.ts';
import { ExclusiveRunner, type Lane } from './exclusive-runner.ts';
import { executeCommand } from './execute-command.ts';
import { StepFailure } from './execute-plan.ts';
import { observe } from './observe.ts';
import { StepRecorder } from './step-recorder.ts';

interface CommandHandlerDeps {
  readonly state: AgentState;
  readonly runtime: Runtime;
  readonly runner: ExclusiveRunner;
  readonly clock: Clock;
  readonly log: Log;
  /** Maximum size of a result as JSON, in bytes. */
  readonly resultBytes: number;
  /** A result in the journal is ready to be sent. */
  readonly onAnswered: (commandId: string) => void;
  /** Steps of a slow command; can be lost. */
  readonly onProgress: (commandId: string, steps: readonly OperationStep[]) => void;
  /** A command on a container has been executed, with or without success. */
  readonly onSettled: (containerId: string) => void;
  readonly onImagesChanged: () => void;
  readonly sessions: Pick<Sessions, 'answer' | 'endOf' | 'removed'>;
}

export interface CommandHandler {
  /**
   * Accepts a command, idempotently.
   *
   * @returns `replayed` for an executed command of which only the id is left: it is not executed again
   */
  receive(command: Command, validity: Validity): 'taken' | 'replayed';
  /** Answers a message with an id that is not a valid command. */
  refuse(commandId: string, error: CommandRefusedError): void;
  /** Resumes commands that were received but not answered before the agent ended. */
  resume(): void;
  /** Ids of running and waiting commands. */
  inProgress(): string[];
}

/** Queries of running containers can take long and must not delay others. */
const PARALLEL_SESSION_VERBS = 128;
/** Maximum number of parallel queries; one at a time per container, because a hostile guest may be slow. */
const PARALLEL_QUERIES = 32;
/** Maximum number of network policies applied in parallel. */
const PARALLEL_POLICIES = 16;
/** Verbs that do not affect a main process and its sessions. */
const LEAVES_SESSIONS: readonly string[] = ['prepareContainer', 'provisionUtilityVm', 'startContainer'];

/** The steps of a slow command are reported at this interval, in milliseconds, if they have changed. */
const PROGRESS_EVERY_MS = 2_000;

interface InFlight {
  readonly command: Command;
  readonly abort: AbortController;
}

/**
 * Executes commands, from receipt to recorded result.
 *
 * Invariants:
 * 1. A command is journaled before it is executed, and its result before it is sent.
 * 2. A command with a result is never executed again: the recorded result is sent.
 * 3. A command older than its container's newest epoch has no effect. A newer one aborts running older ones, between steps or
 *    within a step that supports it, and then runs.
 * 4. The time to live counts from receipt to the start, by this machine's clock. A command that had started before the agent
 *    ended is completed when the agent is back.
 * 5. If the journal fails, nothing is executed or answered: the command will be delivered again.
 */
export const createCommandHandler = (deps: CommandHandlerDeps): CommandHandler => {
  const { state, runner, clock, log } = deps;
  const inFlight = new Map<string, InFlight>();
  const sessionRunner = new ExclusiveRunner(PARALLEL_SESSION_VERBS);
  const queryRunner = new ExclusiveRunner(PARALLEL_QUERIES);
  const policyRunner = new ExclusiveRunner(PARALLEL_POLICIES);

  /** A policy change waits neither for long steps nor for many commands, and nothing waits for a query. */
  const runnerOf = (args: CommandArguments): ExclusiveRunner => {
    if (args.verb === 'setNetworkPolicy') return policyRunner;
    if (isSessionVerb(args)) return sessionRunner;
    return isQuery(args) ? queryRunner : runner;
  };

  const receive: CommandHandler['receive'] = (command, validity) => {
    try {
      const changes = changesContainer(command.arguments);
      const { replayed, record, newestEpoch } = state.receive(command, {
        ...validity,
        monotonicMs: clock.monotonicMs(),
        changesContainer: changes,
      });
      if (replayed) return 'replayed';
      if (record.state === 'answered' || record.state === 'acknowledged') {
        state.reopen(command.id);
        deps.onAnswered(command.id);
      } else if (!inFlight.has(command.id)) {
        if (changes) supersedeOlder(command, newestEpoch);
        submit(record);
      }
    } catch (error) {
      log.error('could not accept a command', { commandId: command.id, cause: messageOf(error) });
    }
    return 'taken';
  };

  /** Aborts older commands, and ends sessions before their process is changed. */
  const supersedeOlder = ({ containerId, epoch, arguments: args }: Command, newestEpoch: number): void => {
    if (containerId !== null && epoch >= newestEpoch && !LEAVES_SESSIONS.includes(args.verb))
      deps.sessions.endOf(containerId, 'container-stopped');
    if (containerId !== null && args.verb === 'removeContainer') deps.sessions.removed(containerId);
    for (const { command, abort } of inFlight.values())
      if (command.containerId === containerId && command.epoch < newestEpoch)
        abort.abort(superseded(command, newestEpoch));
  };

  const submit = (record: CommandRecord): void => {
    const { command } = record;
    if (command === null) return;
    const flight: InFlight = { command, abort: new AbortController() };
    inFlight.set(command.id, flight);
    runnerOf(command.arguments)
      .run(laneOf(command), (lane) => answer(record, flight, lane))
      .catch((error: unknown) =>
        log.error('could not execute a command', { commandId: command.id, cause: messageOf(error) }),
      )
      .finally(() => {
        inFlight.delete(command.id);
        if (command.containerId !== null && changesContainer(command.arguments))
          deps.onSettled(command.containerId);
      });
  };

  /** @returns a function that ends the reports */
  const reportProgress = (commandId: string, recorder: StepRecorder): (() => void) => {
    let reported: readonly OperationStep[] | null = null;
    let cancel: Cancel = nothingToCancel;
    const report = () => {
      if (recorder.steps !== reported) deps.onProgress(commandId, recorder.steps);
      reported = recorder.steps;
      cancel = clock.after(PROGRESS_EVERY_MS, report);
    };
    cancel = clock.after(PROGRESS_EVERY_MS, report);
    return () => cancel();
  };

  /** Executes and records. Rejects only if the journal fails; the command then stays open. */
  const answer = async (record: CommandRecord, flight: InFlight, lane: Lane): Promise<void> => {
    const { command } = flight;
    const recorder = new StepRecorder(clock, (steps) => state.recordSteps(command.id, steps), record.steps);
    const stopReports = reportProgress(command.id, recorder);
    try {
      const result = await resultOf(record, flight, recorder, lane);
      const fitted = fitResult(result, deps.resultBytes);
      if (fitted.status === 'succeeded' && fitted.processesOmitted !== undefined)
        log.warn('omitted processes from a result that was too large', {
          commandId: command.id,
          omitted: fitted.processesOmitted,
        });
      state.answer(command.id, fitted);
      log.info('answered a command', {
        commandId: command.id,
        verb: command.arguments.verb,
        status: result.status,
      });
      deps.onAnswered(command.id);
    } finally {
      stopReports();
    }
  };

  const resultOf = async (
    record: CommandRecord,
    flight: InFlight,
    recorder: StepRecorder,
    lane: Lane,
  ): Promise<CommandResult> => {
    const { command } = flight;
    try {
      refuseIfLate(record, command);
      return await executeCommand(deps, { command, recorder, signal: flight.abort.signal });
    } catch (error) {
      if (error instanceof StateUnavailableError) throw error;
      if (error instanceof StepFailure) {
        if (error.cause instanceof StateUnavailableError) throw error.cause;
        if (error.lasting !== null) lane.hold(error.lasting);
      }
      recordTurn(command, error);
      const seen = command.containerId === null ? null : await tryObserve(command.containerId);
      return failedResult(command.id, error, recorder.steps, seen);
    }
  };

  /** A failed command counts as applied too: later reports have its epoch, and no older command can follow. */
  const recordTurn = ({ containerId, epoch, arguments: args }: Command, error: unknown): void => {
    const cause = error instanceof StepFailure ? error.cause : error;
    const superseded = cause instanceof StepAbortedError && cause.code === 'operation-aborted';
    if (containerId !== null && changesContainer(args) && !superseded)
      state.update(containerId, { appliedEpoch: epoch });
  };

  const refuseIfLate = (record: CommandRecord, command: Command): void => {
    // Policies are ordered by their revisions: a late policy is either still the newest or has no effect.
    if (command.arguments.verb === 'setNetworkPolicy') return;
    const newest =
      command.containerId === null || awaitsStart(command.arguments)
        ? 0
        : (state.container(command.containerId)?.newestEpoch ?? 0);
    if (command.epoch < newest) throw superseded(command, newest);
    if (record.state === 'executing') return;
    const waitedMs = clock.monotonicMs() - record.receivedAtMs;
    // A clock that went backwards means that the machine was restarted, and the elapsed time is unknown.
    if (waitedMs < 0 || waitedMs > command.ttlSeconds * 1_000)
      throw new CommandRefusedError(
        'deadline-exceeded',
        `The command did not start within its ${command.ttlSeconds} seconds.`,
      );
  };

  /** It may have run before the agent ended. It is answered with a failure and does not run again. */
  const refuseAfterRestart = ({ id }: Command): void => {
    const error = new StepAbortedError('operation-aborted', 'The agent was restarted.');
    state.answer(id, failedResult(id, error));
    deps.onAnswered(id);
  };

  const tryObserve = async (containerId: string) => {
    try {
      return await observe(deps, containerId);
    } catch (error) {
      log.warn('could not inspect a container', { containerId, cause: messageOf(error) });
      return null;
    }
  };

  return {
    receive,
    refuse: (commandId, error) => {
      try {
        state.refuse(commandId, failedResult(commandId, error));
        state.reopen(commandId);
        deps.onAnswered(commandId);
      } catch (failure) {
        log.error('could not refuse a command', { commandId, cause: messageOf(failure) });
      }
    },
    resume: () => {
      for (const record of state.openCommands())
        if (record.command !== null && isRunOnce(record.command.arguments))
          refuseAfterRestart(record.command);
        else submit(record);
    },
    inProgress: () => [...inFlight.keys()],
  };
};

const superseded = (command: Command, newest: number): StepAbortedError =>
  new StepAbortedError(
    'operation-aborted',
    `Superseded: the command is of epoch ${command.epoch}, and the container's newest is ${newest}.`,
  );

const isQuery = ({ verb }: CommandArguments): boolean =>
  verb === 'listProcesses' || verb === 'listHostProcesses';

/** One lane per container and per image; reads do not wait for changes. */
const laneOf = ({ id, containerId, arguments: args }: Command): string => {
  if (args.verb === 'importImage' || args.verb === 'removeImage') return `image:${args.name.toLowerCase()}`;
  if (args.verb === 'setNetworkPolicy') return `network:${containerId}`;
  if (containerId === null) return `query:${id}`;
  if (changesContainer(args)) return containerId;
  return isQuery(args) ? `query:${containerId}` : `query:${id}`;
};
