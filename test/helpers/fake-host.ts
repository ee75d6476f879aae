import type {
  AssignedContainer,
  Command,
  CommandArguments,
  CommandResult,
  ObservedContainer,
} from '../../core/contract/agent/commands.ts';
import type { AgentMessage, ControlMessage } from '../../core/contract/agent/messages.ts';
import type { HostFacts } from '../../core/contract/host.ts';
import type { ImageFacts } from '../../core/contract/image.ts';
import { commandIn } from './signing.ts';

export interface FakeHostOptions {
  readonly hostId: string;
  readonly facts: HostFacts;
  readonly images: readonly ImageFacts[];
}

/**
 * A host with an agent: keeps the state of containers, executes each command once, and keeps its answers until they are
 * acknowledged. The simulated network takes its messages from `outbox`.
 */
export class FakeHost {
  readonly hostId: string;
  facts: HostFacts;
  images: readonly ImageFacts[];
  readonly containers = new Map<string, ObservedContainer>();
  readonly outbox: AgentMessage[] = [];
  readonly received: ControlMessage[] = [];
  /** Verbs of commands that fail, or that are dropped without an answer. */
  readonly failing = new Set<CommandArguments['verb']>();
  /** Verbs of commands that fail halfway: the process was stopped, and the container has the new type. */
  readonly breaking = new Set<CommandArguments['verb']>();
  readonly silentOn = new Set<CommandArguments['verb']>();
  /** Containers whose code has run in a VM since they last ran on the host's kernel. */
  readonly untrusted = new Set<string>();
  /** The newest network policy of each container, from any command. */
  readonly policies = new Map<string, Pick<AssignedContainer['spec'], 'network' | 'networkRevision'>>();
  readonly #results = new Map<string, CommandResult>();
  readonly inProgress = new Set<string>();
  #sequence = 0;
  #messages = 0;

  constructor({ hostId, facts, images }: FakeHostOptions) {
    this.hostId = hostId;
    this.facts = facts;
    this.images = images;
  }

  messageId(): string {
    this.#messages += 1;
    return `m-${this.#messages}`;
  }

  receive(message: ControlMessage): void {
    this.received.push(message);
    if (message.action === 'command') this.#take(commandIn(message));
    if (message.action === 'inventoryRequest') this.hello();
  }

  hello(): void {
    this.outbox.push({
      action: 'hello',
      messageId: this.messageId(),
      protocol: 1,
      agentVersion: '1.0.0',
      facts: this.facts,
      images: [...this.images],
      observed: [...this.containers.values()],
    });
  }

  heartbeat(): void {
    this.outbox.push({ action: 'heartbeat', inProgress: [...this.inProgress] });
  }

  /** Sends all results again, as an agent does with those that were not acknowledged. */
  repeatResults(): void {
    for (const result of this.#results.values())
      this.outbox.push({ action: 'result', messageId: this.messageId(), result });
  }

  /** Executes the commands of this verb that it was silent on. */
  answerPending(verb: CommandArguments['verb']): void {
    for (const command of this.received.flatMap((one) => (one.action === 'command' ? [commandIn(one)] : [])))
      if (command.arguments.verb === verb && this.inProgress.has(command.id)) this.#take(command);
  }

  /** Ends the main process, as if it had exited by itself. */
  exit(containerId: string, exitCode: number): void {
    const before = this.containers.get(containerId);
    if (before?.phase !== 'Running') return;
    const observed = this.#observe(containerId, before.epoch, { phase: 'Off', exitCode, startedAt: null });
    this.outbox.push({ action: 'observed', messageId: this.messageId(), observed: [observed] });
  }

  /** Reports a change that no command made. */
  report(containerId: string, change: Partial<ObservedContainer>): void {
    const epoch = this.containers.get(containerId)?.epoch ?? 0;
    const observed = this.#observe(containerId, epoch, change);
    this.outbox.push({ action: 'observed', messageId: this.messageId(), observed: [observed] });
  }

  running(): string[] {
    return [...this.containers.values()]
      .filter(({ phase }) => phase === 'Running')
      .map((one) => one.containerId);
  }

  #observe(containerId: string, epoch: number, change: Partial<ObservedContainer>): ObservedContainer {
    this.#sequence += 1;
    const before = this.containers.get(containerId);
    const observed: ObservedContainer = {
      containerId,
      phase: 'Off',
      runtimeType: 'Default',
      startedAt: null,
      exitCode: null,
      exitReason: null,
      restartCount: 0,
      workerProcess: null,
      run: { endedAt: null, restarting: false, outOfMemory: false, ports: [] },
      ...before,
      epoch,
      ...change,
      sequence: this.#sequence,
    };
    if (observed.phase === 'Absent') this.containers.delete(containerId);
    else this.containers.set(containerId, observed);
    return observed;
  }

  #take(command: Command): void {
    const { verb } = command.arguments;
    if (this.silentOn.has(verb)) {
      this.inProgress.add(command.id);
      return;
    }
    const known = this.#results.get(command.id);
    const result = known ?? this.#carryOut(command);
    this.inProgress.delete(command.id);
    this.#results.set(command.id, result);
    this.outbox.push({ action: 'result', messageId: this.messageId(), result });
  }

  #carryOut(command: Command): CommandResult {
    const { id: commandId, containerId, epoch } = command;
    const steps = [
      { name: 'do', state: 'Succeeded' as const, startedAt: '2026-11-24T09:00:00.000Z', durationMs: 5 },
    ];
    if (this.failing.has(command.arguments.verb))
      return {
        commandId,
        steps,
        status: 'failed',
        observed: null,
        error: { code: 'step-failed', message: 'It did not work.' },
      };
    if (this.breaking.has(command.arguments.verb) && containerId !== null)
      return {
        commandId,
        steps: [
          { name: 'StopProcess', state: 'Succeeded', startedAt: '2026-11-24T09:00:00.000Z', durationMs: 5 },
        ],
        status: 'failed',
        observed: this.#break(containerId, command),
        error: { code: 'step-failed', message: 'It broke half way.' },
      };
    if (containerId === null)
      return { commandId, steps, status: 'succeeded', observed: null, image: this.#importImage(command) };
    if (this.#wouldTrust(command.arguments))
      return {
        commandId,
        steps: [],
        status: 'failed',
        observed: this.containers.get(containerId) ?? null,
        error: { code: 'untrusted-disk', message: 'Its disk was written in a VM.' },
      };
    this.#keepPolicy(containerId, command.arguments);
    const { verb } = command.arguments;
    const stops = verb === 'convertContainer' && this.containers.get(containerId)?.phase === 'Running';
    const change = this.#changeOf(command.arguments);
    const observed = change === null ? null : this.#observe(containerId, epoch, change);
    const downtimeMs = verb === 'convertContainer' ? { downtimeMs: stops ? 12.5 : null } : {};
    return { commandId, steps, status: 'succeeded', observed, ...downtimeMs };
  }

  #keepPolicy(containerId: string, given: CommandArguments): void {
    const known = this.policies.get(containerId);
    const told = 'container' in given ? given.container.spec : undefined;
    const policy =
      given.verb === 'setNetworkPolicy'
        ? { network: given.network, networkRevision: given.revision }
        : told && { network: told.network, networkRevision: told.networkRevision };
    if (policy === undefined || (known && known.networkRevision >= policy.networkRevision)) return;
    this.policies.set(containerId, policy);
  }

  #break(containerId: string, { epoch, arguments: given }: Command): ObservedContainer | null {
    if (!this.containers.has(containerId)) return null;
    const runtimeType = 'container' in given ? { runtimeType: given.container.runtimeType } : {};
    if (runtimeType.runtimeType === 'HyperV') this.untrusted.add(containerId);
    const change = { phase: 'Off' as const, startedAt: null, workerProcess: null, ...runtimeType };
    return this.#observe(containerId, epoch, change);
  }

  #importImage({ arguments: given }: Command): ImageFacts | undefined {
    const image = this.images[0];
    if (given.verb !== 'importImage' || image === undefined) return undefined;
    const imported = { ...image, name: given.name };
    this.images = [...this.images, imported];
    return imported;
  }

  #isHeldBack({ id, runtimeType }: AssignedContainer): boolean {
    const isInVm = this.containers.get(id)?.runtimeType === 'HyperV';
    return runtimeType === 'Default' && isInVm && this.untrusted.has(id);
  }

  /** Whether the host's kernel would mount a disk that code in a VM has written, without consent. */
  #wouldTrust(given: CommandArguments): boolean {
    if (given.verb === 'convertContainer')
      return this.#isHeldBack(given.container) && given.acceptUntrustedDisk !== true;
    return (
      (given.verb === 'startContainer' || given.verb === 'restartContainer') &&
      this.#isHeldBack(given.container)
    );
  }

  /** Like the agent, never returns to the host's kernel. */
  #restored(container: AssignedContainer, to: 'Absent' | 'Off' | 'Running'): Partial<ObservedContainer> {
    const isHeldBack = to !== 'Absent' && this.#isHeldBack(container);
    const kept = isHeldBack ? { ...container, runtimeType: 'HyperV' as const } : container;
    const runs = this.containers.get(container.id)?.phase === 'Running';
    if (to === 'Running' && (!isHeldBack || runs)) return this.#running(kept);
    const phase = to === 'Running' ? 'Off' : to;
    return { phase, startedAt: null, workerProcess: null, runtimeType: kept.runtimeType };
  }

  #running({ id, runtimeType }: AssignedContainer): Partial<ObservedContainer> {
    if (runtimeType === 'HyperV') this.untrusted.add(id);
    else this.untrusted.delete(id);
    const workerProcess =
      runtimeType === 'HyperV' ? { pid: 77, name: 'vmwp', userName: id.toUpperCase() } : null;
    return {
      phase: 'Running',
      startedAt: '2026-11-24T09:00:01.000Z',
      exitCode: null,
      runtimeType,
      workerProcess,
    };
  }

  #changeOf(given: CommandArguments): Partial<ObservedContainer> | null {
    switch (given.verb) {
      case 'prepareContainer':
        return { phase: 'Off', runtimeType: given.container.runtimeType };
      case 'convertContainer': {
        const wasRunning = this.containers.get(given.container.id)?.phase === 'Running';
        const { runtimeType } = given.container;
        return wasRunning ? this.#running(given.container) : { phase: 'Off', runtimeType };
      }
      case 'provisionUtilityVm':
        return null;
      case 'startContainer':
      case 'restartContainer':
        return this.#running(given.container);
      case 'stopContainer':
        return { phase: 'Off', startedAt: null, exitCode: 143, workerProcess: null };
      case 'removeContainer':
        return { phase: 'Absent' };
      case 'restoreContainer':
        return this.#restored(given.container, given.to);
      default:
        return null;
    }
  }
}
