import { afterAll, beforeAll, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { canTransition, OPERATION_STARTS } from '../../../core/domain/container-state.ts';
import { isEnded } from '../../../core/domain/operation-state.ts';
import type { ContainerRecord, OperationRecord } from '../../../store/records.ts';
import { openWorld, type World } from '../../helpers/control-plane-world.ts';
import { type Engine, startEngine } from '../../helpers/dynoxide.ts';
import type { FakeHost } from '../../helpers/fake-host.ts';

let engine: Engine;
beforeAll(async () => {
  engine = await startEngine();
});
afterAll(() => engine.stop());

type Action =
  | { readonly kind: 'create'; readonly start: boolean; readonly memoryMB: number }
  | { readonly kind: 'start' | 'stop' | 'restart' | 'remove' | 'exit'; readonly which: number }
  | { readonly kind: 'abort' | 'timeOut'; readonly which: number }
  | { readonly kind: 'cut' | 'connect' | 'heartbeat'; readonly which: number }
  | { readonly kind: 'fail' | 'heal'; readonly verb: 'startContainer' | 'stopContainer' | 'restoreContainer' }
  | { readonly kind: 'wait'; readonly seconds: number }
  | { readonly kind: 'run'; readonly times: 1 | 2 };

const which = fc.nat(20);
const action: fc.Arbitrary<Action> = fc.oneof(
  fc.record({
    kind: fc.constant('create' as const),
    start: fc.boolean(),
    memoryMB: fc.constantFrom(128, 512, 2000),
  }),
  fc.record({
    kind: fc.constantFrom('start' as const, 'stop' as const, 'restart' as const, 'remove' as const),
    which,
  }),
  fc.record({ kind: fc.constant('exit' as const), which }),
  fc.record({ kind: fc.constantFrom('abort' as const, 'timeOut' as const), which }),
  fc.record({ kind: fc.constantFrom('cut' as const, 'connect' as const, 'heartbeat' as const), which }),
  fc.record({
    kind: fc.constantFrom('fail' as const, 'heal' as const),
    verb: fc.constantFrom('startContainer' as const, 'stopContainer' as const, 'restoreContainer' as const),
  }),
  fc.record({ kind: fc.constant('wait' as const), seconds: fc.constantFrom(5, 70, 200) }),
  fc.record({ kind: fc.constant('run' as const), times: fc.constantFrom(1 as const, 2 as const) }),
);

/** Looks at everything after each action, and holds it to the invariants. */
class Watch {
  readonly #containers = new Map<string, ContainerRecord>();
  readonly #operations = new Map<string, OperationRecord>();
  readonly #gone = new Set<string>();
  readonly ids: string[] = [];
  readonly operations: string[] = [];
  readonly #world: World;

  constructor(world: World) {
    this.#world = world;
  }

  /** A container against what it was; what it holds is added to `held`. */
  #checkContainer(
    before: ContainerRecord | undefined,
    now: ContainerRecord,
    held: Map<string, number>,
  ): void {
    expect(this.#gone.has(now.id)).toBe(false);
    if (before !== undefined && now.revision === before.revision + 1)
      expect([before.view.state, now.view.state, canTransition(before.view.state, now.view.state)]).toEqual([
        before.view.state,
        now.view.state,
        true,
      ]);
    expect(now.epoch).toBeGreaterThanOrEqual(before?.epoch ?? 0);
    expect(now.revision).toBeGreaterThanOrEqual(before?.revision ?? 0);
    const { hostId } = now.view;
    if (now.reservation !== null && hostId !== null)
      held.set(hostId, (held.get(hostId) ?? 0) + now.reservation.memoryMB);
    if (now.view.state === 'Running') expect(now.reservation).not.toBeNull();
  }

  async check(): Promise<void> {
    const held = new Map<string, number>();
    for (const id of this.ids) {
      const now = await this.#world.container(id);
      const before = this.#containers.get(id);
      if (now === undefined) {
        if (before !== undefined) this.#gone.add(id);
        continue;
      }
      this.#checkContainer(before, now, held);
      this.#containers.set(id, now);
    }
    for (const hostId of this.#world.hosts.keys()) {
      const { free, view } = await this.#world.host(hostId);
      expect(free.memoryMB).toBeGreaterThanOrEqual(0);
      expect(free.memoryMB + (held.get(hostId) ?? 0)).toBe(view.facts.capacity.memoryMB);
    }
    for (const id of this.operations) {
      const now = await this.#world.operation(id);
      const before = this.#operations.get(id);
      if (before !== undefined && isEnded(before.view.state)) expect(now).toEqual(before);
      this.#operations.set(id, now);
    }
    const everywhere = [...this.#world.hosts.values()].flatMap((host) => host.running());
    expect(new Set(everywhere).size).toBe(everywhere.length);
  }
}

const pick = <T>(all: readonly T[], at: number): T | undefined => all[at % Math.max(1, all.length)];

const begin = async (world: World, watch: Watch, kind: keyof typeof OPERATION_STARTS, id: string) => {
  const container = await world.container(id);
  if (kind === 'convert' || container === undefined || container.view.activeOperationId !== null) return;
  if (!OPERATION_STARTS[kind].from.includes(container.view.state)) return;
  watch.operations.push((await world.begin(id, kind)).operationId);
};

const onContainer = async (
  world: World,
  watch: Watch,
  hosts: readonly FakeHost[],
  { kind, which: at }: Extract<Action, { kind: 'start' | 'stop' | 'restart' | 'remove' | 'exit' }>,
): Promise<void> => {
  const id = pick(watch.ids, at);
  if (id === undefined) return;
  if (kind === 'exit') for (const host of hosts) host.exit(id, at);
  else await begin(world, watch, kind, id);
};

const onOperation = async (
  world: World,
  watch: Watch,
  { kind, which: at }: Extract<Action, { kind: 'abort' | 'timeOut' }>,
): Promise<void> => {
  const id = pick(watch.operations, at);
  if (id === undefined || world.tasks.status(id) !== 'RUNNING') return;
  if (kind === 'timeOut') world.tasks.timeOut(id);
  else await world.handlers.settle(world.tasks.abort(id));
};

const onHost = async (
  world: World,
  hosts: readonly FakeHost[],
  { kind, which: at }: Extract<Action, { kind: 'cut' | 'connect' | 'heartbeat' }>,
): Promise<void> => {
  const host = pick(hosts, at);
  if (host === undefined) return;
  if (kind === 'heartbeat') host.heartbeat();
  else world.cut(host);
  if (kind === 'connect') await world.connect(host);
};

const apply = async (world: World, watch: Watch, hosts: readonly FakeHost[], one: Action): Promise<void> => {
  switch (one.kind) {
    case 'create': {
      const made = await world.create({ start: one.start, memoryMB: one.memoryMB });
      watch.ids.push(made.id);
      watch.operations.push(made.operationId);
      return;
    }
    case 'abort':
    case 'timeOut':
      return onOperation(world, watch, one);
    case 'cut':
    case 'connect':
    case 'heartbeat':
      return onHost(world, hosts, one);
    case 'fail':
    case 'heal':
      for (const host of hosts)
        if (one.kind === 'fail') host.failing.add(one.verb);
        else host.failing.delete(one.verb);
      return;
    case 'wait':
      world.clock.now += one.seconds * 1000;
      return world.sweep();
    case 'run':
      return world.settle(one.times);
    default:
      return onContainer(world, watch, hosts, one);
  }
};

test('whatever happens in whatever order: nothing oversold, nothing twice, one end each; once faults stop, all is told as it is', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(action, { minLength: 5, maxLength: 40 }),
      fc.constantFrom(1, 2),
      async (actions, twice) => {
        const world = openWorld(await engine.table());
        world.tasks.invocations = twice;
        const hosts = [await world.addHost(), await world.addHost()];
        for (const host of hosts) await world.connect(host);
        await world.settle();
        const watch = new Watch(world);
        for (const one of actions) {
          await apply(world, watch, hosts, one);
          await watch.check();
        }
        // Faults stop: hosts answer, and are connected; time goes on.
        for (const host of hosts) {
          host.failing.clear();
          await world.connect(host);
        }
        for (let minute = 0; minute < 6; minute += 1) {
          await world.settle();
          world.clock.now += 60_000;
          for (const host of hosts) host.heartbeat();
          await world.settle();
          await world.sweep();
          await watch.check();
        }
        for (const id of watch.ids) {
          const container = await world.container(id);
          const really = hosts.filter((host) => host.running().includes(id));
          if (container?.view.activeOperationId !== null && container !== undefined) continue;
          expect([id, container?.view.state === 'Running']).toEqual([id, really.length === 1]);
          expect(container?.view.state).not.toBe('Unknown');
        }
      },
    ),
    { numRuns: 25 },
  );
}, 180_000);
