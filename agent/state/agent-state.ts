import type { AssignedContainer, Command, CommandResult } from '../../core/contract/agent/commands.ts';
import type { ResolvedNetworkPolicy } from '../../core/contract/network.ts';
import type { OperationStep } from '../../core/contract/operation.ts';
import type { Target } from '../plan/plan.ts';

/**
 * The agent's journal: received commands, started work, and results. It is written before and after each action, so that a
 * restarted agent knows what may be half finished.
 *
 * A command's life: `received` → `executing` → `answered` → `acknowledged`. It never goes back, with one
 * exception: a command that is delivered again after its acknowledgement is `answered` again, so that its
 * recorded result goes out once more. A command is pruned only when it is acknowledged and old.
 *
 * Every method is atomic and durable when it returns, and throws `StateUnavailableError`, with nothing
 * changed, when it cannot be. What is returned is a copy.
 */
export interface AgentState {
  /**
   * Takes a command in. The first time it is recorded as `received`; if it changes its container, the
   * container's newest epoch rises to the command's in the same transaction. A repetition changes nothing.
   *
   * Its id is kept until the command has expired, however early the rest is pruned: until then, a copy of it that is
   * delivered again is distinguished from a new command.
   */
  receive(command: Command, at: ReceivedAt): Receipt;
  /** Records the answer to something that is not a command of the contract, so that it too is resent until acknowledged. */
  refuse(commandId: string, result: CommandResult): void;
  /** Intent: the command is being carried out, on these terms. Terms that were recorded before stay. */
  begin(commandId: string, context: CommandContext): CommandRecord;
  /** Steps as they are now: called with a step `Running` before it is acted on, and with its end after. */
  recordSteps(commandId: string, steps: readonly OperationStep[]): void;
  /** The command is over. Its arguments, which may hold environment values, are forgotten. */
  answer(commandId: string, result: CommandResult): void;
  /**
   * The answer has arrived. One to what changes no container, which may be large, is forgotten; that it was given is
   * not, so that the same query is not carried out twice.
   */
  acknowledge(commandId: string): void;
  /** Has an acknowledged answer sent again. */
  reopen(commandId: string): void;
  command(commandId: string): CommandRecord | null;
  /** `received` and `executing` ones, in the order in which they came. */
  openCommands(): CommandRecord[];
  /** `answered` ones, in the order in which they came. */
  unacknowledged(): CommandRecord[];

  container(containerId: string): ContainerRecord | null;
  containers(): ContainerRecord[];
  /** Changes what is recorded of a container, which is made if there is none. Epochs never fall. */
  update(containerId: string, change: ContainerChange): void;

  /** A number larger than any that it has ever returned, over all restarts. */
  nextSequence(): number;
  /** Forgets acknowledged commands, and containers that were removed, last touched before `before`. */
  prune(before: Date): number;
  close(): void;
}

/** By the control plane's clock, in milliseconds since 1970. */
export interface Validity {
  readonly nowMs: number;
  /** Until when the command may be taken in. */
  readonly expiresAtMs: number;
}

export interface ReceivedAt extends Validity {
  /** By the boot's own clock, for the command's time to live; milliseconds. */
  readonly monotonicMs: number;
  /** Whether the command changes its container: a query raises no epoch. */
  readonly changesContainer: boolean;
}

export type Receipt =
  | {
      readonly replayed: false;
      readonly fresh: boolean;
      readonly record: CommandRecord;
      /** The container's newest epoch, this command's included. */
      readonly newestEpoch: number;
    }
  /** It was carried out, and nothing but its id is kept: nothing has been recorded. */
  | { readonly replayed: true; readonly record?: never; readonly newestEpoch?: never };

export type CommandState = 'received' | 'executing' | 'answered' | 'acknowledged';

export interface CommandRecord {
  readonly id: string;
  readonly state: CommandState;
  /** Null from the answer on. */
  readonly command: Command | null;
  readonly receivedAtMs: number;
  readonly context: CommandContext | null;
  readonly steps: readonly OperationStep[];
  readonly result: CommandResult | null;
}

/** What was there when the command was begun: on a second attempt this can no longer be seen. */
export interface CommandContext {
  readonly layerExisted: boolean;
  /** The run of the main process that was running, if any. */
  readonly runningInstance: string | null;
}

export interface ContainerRecord {
  readonly id: string;
  /** Null for one of which only the id has been heard. */
  readonly container: AssignedContainer | null;
  readonly desired: Target;
  /** The newest network policy that was set after the container was assigned; null if none was. */
  readonly network: { readonly policy: ResolvedNetworkPolicy; readonly revision: number } | null;
  readonly newestEpoch: number;
  /** Of the last command that had its turn on it, whatever came of it. */
  readonly appliedEpoch: number;
  /** By the restart policy, since the last start by a command. */
  readonly restartCount: number;
  /** The wait before the next restart, in milliseconds; 0 before the first. */
  readonly backoffMs: number;
}

export type ContainerChange = Partial<Omit<ContainerRecord, 'id' | 'newestEpoch'>>;

/** In place of an answer that has arrived and is not kept. */
export const forgottenAnswer = (commandId: string): CommandResult => ({
  status: 'failed',
  commandId,
  steps: [],
  observed: null,
  error: {
    code: 'operation-already-ended',
    message: 'The answer has been given before, and is no longer kept',
  },
});

/** A container of which nothing has been recorded: as far as the journal knows, it is not there. */
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
