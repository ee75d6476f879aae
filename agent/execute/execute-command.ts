import type { Command, CommandArguments, CommandResult } from '../../core/contract/agent/commands.ts';
import type { Clock } from '../clock.ts';
import { CommandRefusedError, StateUnavailableError } from '../errors.ts';
import type { Log } from '../log.ts';
import type { Runtime } from '../runtimes/runtime.ts';
import { isSessionVerb, type Sessions } from '../sessions/sessions.ts';
import type { AgentState } from '../state/agent-state.ts';
import { applyVerb } from './apply-verb.ts';
import { changesContainer, contextOf } from './container-work.ts';
import { inspectContainer } from './inspect-container.ts';
import { setNetworkPolicy } from './newest-policy.ts';
import { observe } from './observe.ts';
import type { StepRecorder } from './step-recorder.ts';

interface ExecuteCommandDeps {
  readonly state: AgentState;
  readonly runtime: Runtime;
  readonly clock: Clock;
  readonly log: Log;
  readonly sessions: Pick<Sessions, 'answer'>;
  readonly onImagesChanged: () => void;
}

interface CommandExecution {
  readonly command: Command;
  readonly recorder: StepRecorder;
  readonly signal: AbortSignal;
}

type Succeeded = Extract<CommandResult, { status: 'succeeded' }>;

/** Executes one command by its verb. Throws if the command fails; partial changes to a container are undone then. */
export const executeCommand = async (
  deps: ExecuteCommandDeps,
  { command, recorder, signal }: CommandExecution,
): Promise<CommandResult> => {
  const { state, runtime } = deps;
  const { arguments: args } = command;
  const succeeded: Succeeded = { status: 'succeeded', commandId: command.id, steps: [], observed: null };
  if (isSessionVerb(args))
    return { ...succeeded, ...(await deps.sessions.answer(subjectOf(command), args, signal)) };
  if (!changesContainer(args)) return { ...succeeded, ...(await answerQuery(deps, command, args, signal)) };
  const containerId = containerOf(command);
  const { context } = state.begin(command.id, contextOf(await inspectContainer(runtime, containerId)));
  if (context === null)
    throw new StateUnavailableError('The journal has lost the initial state of a command.');
  const applied = await applyVerb(deps, { command, containerId, args, context, recorder, signal });
  const observed = await observe(deps, containerId);
  return { ...succeeded, steps: [...recorder.steps], observed, ...applied };
};

const containerOf = ({ containerId, arguments: { verb } }: Command): string => {
  if (containerId === null) throw new CommandRefusedError('validation-failed', `${verb} needs a container.`);
  return containerId;
};

const subjectOf = (command: Command) => ({ containerId: containerOf(command), epoch: command.epoch });

/** Verbs that change no container. */
const answerQuery = async (
  deps: ExecuteCommandDeps,
  command: Command,
  args: Exclude<CommandArguments, { container: unknown }>,
  signal: AbortSignal,
): Promise<Partial<Succeeded>> => {
  const { runtime } = deps;
  switch (args.verb) {
    case 'listProcesses': {
      const containerId = containerOf(command);
      const processes = await runtime.listProcesses(containerId);
      return { processes: [...processes], observed: await observe(deps, containerId) };
    }
    case 'setNetworkPolicy': {
      const { network: policy, revision } = args;
      await setNetworkPolicy(deps, containerOf(command), { policy, revision });
      return {};
    }
    case 'listHostProcesses':
      return { processes: [...(await runtime.listHostProcesses())] };
    case 'importImage': {
      const image = await runtime.importImage(args, signal);
      deps.onImagesChanged();
      return { image };
    }
    case 'removeImage':
      await runtime.removeImage(args.name);
      deps.onImagesChanged();
      return {};
    default:
      throw new CommandRefusedError('not-supported-yet', `This agent does not know the verb "${args.verb}".`);
  }
};
