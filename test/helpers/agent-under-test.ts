import { join } from 'node:path';
import { afterEach, expect } from '@jest/globals';
import { World } from '../../agent/runtimes/simulated/world.ts';
import type { AssignedContainer, Command, CommandArguments } from '../../core/contract/agent/commands.ts';
import { AgentProcess } from './agent-process.ts';
import { FakeControlPlane } from './fake-control-plane.ts';

/**
 * A fake control plane and an agent process for each test of a file. Ends both after the test, and checks the contract.
 */
export class AgentUnderTest {
  plane = new FakeControlPlane();
  agent = new AgentProcess(this.plane);

  /** The agent may still be starting when this returns. Its hello shows that it has started. */
  async begin(
    kind: string,
    extra: readonly string[] = [],
    prepare = (_: FakeControlPlane) => undefined as unknown,
  ) {
    this.plane = await new FakeControlPlane().start();
    prepare(this.plane);
    this.agent = new AgentProcess(this.plane, [
      '--simulate',
      kind,
      '--simulate-delay-ms',
      '0-3',
      ...extra,
    ]).start();
  }

  async hello(): Promise<void> {
    await this.plane.until(() => this.plane.messages.some(({ action }) => action === 'hello'), 'a hello');
  }

  async connected(kind: string, extra: readonly string[] = []): Promise<void> {
    await this.begin(kind, extra);
    await this.hello();
  }

  start(one: AssignedContainer, extra: Partial<Command> = {}): Command {
    return this.command({ verb: 'startContainer', container: one }, one, extra);
  }

  command(args: CommandArguments, one: AssignedContainer, extra: Partial<Command> = {}): Command {
    return this.agent.command(args, one.id, extra);
  }

  /** Sends the command and waits for its result. */
  async carriedOut(command: Command) {
    this.plane.give(command);
    return this.plane.result(command.id);
  }

  /** Reads the actual state of the simulated machine. */
  world<T>(read: (world: World) => T): T {
    const world = new World(join(this.agent.stateDir, 'simulated-world.sqlite'));
    try {
      return read(world);
    } finally {
      world.close();
    }
  }

  runsOf({ id }: AssignedContainer): readonly string[] {
    return this.world((world) => world.container(id)?.runs ?? []);
  }

  async end(): Promise<void> {
    await this.agent.dispose();
    await this.plane.stop();
    expect(this.plane.violations).toEqual([]);
  }
}

/** Must be called once in a test file. */
export const useAgent = (): AgentUnderTest => {
  const under = new AgentUnderTest();
  afterEach(() => under.end(), 30_000);
  return under;
};
