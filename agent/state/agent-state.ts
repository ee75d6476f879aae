import type { AssignedContainer, Command, CommandResult } from '../../core/contract/agent/commands.ts';
import type { ResolvedNetworkPolicy } from '../../core/contract/network.ts';
import type { OperationStep } from '../../core/contract/operation.ts';
import type { Target } from '../plan/plan.ts';

/**
 * The agent's journal: received commands, started work, and results. It is written before and after each action, so that a
 * restarted agent finds the work that may be half finished.
 *
 * States of a command: `received` → `executing` → `answered` → `acknowledged`. There is one transition back: a command that is
 * delivered again after its acknowledgement becomes `answered` again, so that its recorded result is resent. A command is
 * pruned only when it is acknowledged and old.
 *
 * Every method is atomic, and its change survives the end of the agent when it returns. If that is impossible, it changes
 * nothing and throws `StateUnavailableError`. Changes that decide what is executed or sent also survive a power failure:
 * all but `recordSteps` and `acknowledge`. Returned values are copies.
 */
export interface AgentState {
  /**
   * Records a command as `received`. If it changes its container, the same transaction raises the container's newest epoch to
   * the command's. A repetition changes nothing.
   *
   * The id is kept until the command expires, even if the rest is pruned earlier. Until then, a copy that is delivered again is
   * distinguished from a new command.
   */
  receive(command: Command, at: ReceivedAt): Receipt;
  /** Records the answer to a message that is not a valid command, so that the answer is resent until it is acknowledged. */
  refuse(commandId: string, result: CommandResult): void;
  /** Records that the command is being executed, with its context. An existing context is kept. */
  begin(commandId: string, context: CommandContext): CommandRecord;
  /**
   * Records the current steps. Called with a step `Running` before it is executed, and with its result afterwards. They are
   * shown to users; what is executed after a restart follows from the state of the container.
   */
  recordSteps(commandId: string, steps: readonly OperationStep[]): void;
  /** Records the result. The arguments, which may contain environment values, are deleted. */
  answer(commandId: string, result: CommandResult): void;
  /**
   * Records that the answer has arrived. The answer to a query, which may be large, is deleted. The record that it was answered
   * is kept, so that the same query is not executed twice. If it is lost, the answer is sent once more.
   */
  acknowledge(commandId: string): void;
  /** Marks an acknowledged answer for resending. */
  reopen(commandId: string): void;
  command(commandId: string): CommandRecord | null;
  /** `received` and `executing` commands, in the order of their arrival. */
  openCommands(): CommandRecord[];
  /** `answered` commands, in the order of their arrival. */
  unacknowledged(): CommandRecord[];

  container(containerId: string): ContainerRecord | null;
  containers(): ContainerRecord[];
  /** Changes a container's record, or creates one. Epochs never decrease. */
  update(containerId: string, change: ContainerChange): void;

  /** Returns a number larger than all earlier ones, across restarts. */
  nextSequence(): number;
  /** Deletes acknowledged commands and removed containers that last changed before `before`. */
  prune(before: Date): number;
  close(): void;
}

/** By the control plane's clock, in milliseconds since 1970. */
export interface Validity {
  readonly nowMs: number;
  /** After this time the command is not accepted. */
  readonly expiresAtMs: number;
}

export interface ReceivedAt extends Validity {
  /** By the monotonic clock, in milliseconds; for the command's time to live. */
  readonly monotonicMs: number;
  /** Whether the command changes its container. A query does not raise the epoch. */
  readonly changesContainer: boolean;
}

export type Receipt =
  | {
      readonly replayed: false;
      readonly fresh: boolean;
      readonly record: CommandRecord;
      /** The container's newest epoch, including this command's. */
      readonly newestEpoch: number;
    }
  /** The command was executed before, and only its id is kept. Nothing is recorded. */
  | { readonly replayed: true; readonly record?: never; readonly newestEpoch?: never };

export type CommandState = 'received' | 'executing' | 'answered' | 'acknowledged';

export interface CommandRecord {
  readonly id: string;
  readonly state: CommandState;
  /** Null once the command is answered. */
  readonly command: Command | null;
  readonly receivedAtMs: number;
  readonly context: CommandContext | null;
  readonly steps: readonly OperationStep[];
  readonly result: CommandResult | null;
}

/** The state when the command's execution began. A second attempt can no longer observe it. */
export interface CommandContext {
  readonly layerExisted: boolean;
  /** The running instance of the main process, if any. */
  readonly runningInstance: string | null;
}

export interface ContainerRecord {
  readonly id: string;
  /** Null if only the id is known. */
  readonly container: AssignedContainer | null;
  readonly desired: Target;
  /** The newest network policy that was set after the container was assigned; null if none. */
  readonly network: { readonly policy: ResolvedNetworkPolicy; readonly revision: number } | null;
  readonly newestEpoch: number;
  /** The epoch of the last command that ran on the container, whether it succeeded or failed. */
  readonly appliedEpoch: number;
  /** Restarts by the restart policy since the last start by a command. */
  readonly restartCount: number;
  /** The wait before the next restart, in milliseconds; 0 before the first. */
  readonly backoffMs: number;
}

export type ContainerChange = Partial<Omit<ContainerRecord, 'id' | 'newestEpoch'>>;

/** The replacement for an acknowledged answer that is not kept. */
export const forgottenAnswer = (commandId: string): CommandResult => ({
  status: 'failed',
  commandId,
  steps: [],
  observed: null,
  error: {
    code: 'operation-already-ended',
    message: 'The query was answered before, and the answer is no longer stored',
  },
});

/** The record of a container that the journal does not contain. */
export const unrecorded = (id: string): ContainerRecord => ({
  id,
  container: null,
  desired: 'Absent',
  network: null,
  newestEpoch: 0,
  appliedEpoch: 0,
  restartCount: 0,
  backoffMs: 0,
});

export const applyChange = (record: ContainerRecord, change: ContainerChange): ContainerRecord => {
  const appliedEpoch = Math.max(record.appliedEpoch, change.appliedEpoch ?? 0);
  return { ...record, ...change, appliedEpoch, newestEpoch: Math.max(record.newestEpoch, appliedEpoch) };
};
