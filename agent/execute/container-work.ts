import type { Command, CommandArguments } from '../../core/contract/agent/commands.ts';
import type { Clock } from '../clock.ts';
import type { Log } from '../log.ts';
import type { Runtime, RuntimeContainer } from '../runtimes/runtime.ts';
import type { AgentState, CommandContext } from '../state/agent-state.ts';
import type { StepRecorder } from './step-recorder.ts';

/** Verbs that change a container. */
const CONTAINER_VERBS = [
  'prepareContainer',
  'provisionUtilityVm',
  'startContainer',
  'stopContainer',
  'restartContainer',
  'removeContainer',
  'convertContainer',
  'restoreContainer',
] as const;
export type ContainerVerb = (typeof CONTAINER_VERBS)[number];
export type ContainerArguments = Extract<CommandArguments, { verb: ContainerVerb }>;

export const changesContainer = (args: CommandArguments): args is ContainerArguments =>
  (CONTAINER_VERBS as readonly string[]).includes(args.verb);

export interface ContainerVerbDeps {
  readonly state: AgentState;
  readonly runtime: Runtime;
  readonly clock: Clock;
  readonly log: Log;
}

export interface ContainerWork {
  readonly command: Command;
  readonly containerId: string;
  readonly args: ContainerArguments;
  readonly context: CommandContext;
  readonly recorder: StepRecorder;
  readonly signal: AbortSignal;
}

/** What a command records about its container before its first start. */
export const contextOf = (observed: RuntimeContainer | null): CommandContext => ({
  layerExisted: observed?.writableLayer ?? false,
  runningInstance: observed?.process?.running ? observed.process.instanceId : null,
});
