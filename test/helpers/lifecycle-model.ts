import { randomBytes, randomUUID } from 'node:crypto';
import { expect } from '@jest/globals';
import fc from 'fast-check';
import { RULE_STEPS } from '../../core/contract/deployment.ts';
import type { RuntimeType } from '../../core/contract/primitives.ts';
import { diskFor } from '../../core/domain/capacity.ts';
import { canTransitionContainer, OPERATION_STARTS } from '../../core/domain/container-state.ts';
import { isEnded } from '../../core/domain/operation-state.ts';
import { createRunConversionRuleHandler } from '../../functions/run-conversion-rule/handler.ts';
import { createHandler as updateContainer } from '../../functions/update-container/handler.ts';
import type { ContainerRecord } from '../../store/containers.ts';
import { listShards } from '../../store/keys.ts';
import {
  type IndexedOperation,
  type OperationRecord,
  parseIndexedOperation,
} from '../../store/operations.ts';
import { FACTS, openWorld, type World } from './control-plane-world.ts';
import type { EngineTable } from './dynoxide.ts';
import type { FakeHost } from './fake-host.ts';
import { call, testDependencies } from './http-function.ts';
import { TENANT } from './records.ts';

/**
 * A model of the life of containers: any sequence of commands, faults and delays, over the control plane's own
 * functions. It checks the invariants of the failure model after every step. Once the faults stop, it checks that the
 * reported state is the actual state.
 */

const VERBS = ['startContainer', 'stopContainer', 'convertContainer', 'restoreContainer'] as const;
type Verb = (typeof VERBS)[number] | 'setNetworkPolicy';

export type Action =
  | {
      readonly kind: 'create';
      readonly start: boolean;
      readonly placed: boolean;
      readonly direct: boolean;
      readonly memoryMB: number;
      readonly diskMB: number;
    }
  | {
      readonly kind: 'start' | 'stop' | 'restart' | 'remove' | 'exit';
      readonly which: number;
      readonly direct: boolean;
    }
  | { readonly kind: 'abort' | 'timeOut'; readonly which: number }
  | { readonly kind: 'cut' | 'connect' | 'heartbeat'; readonly which: number }
  | { readonly kind: 'convert' | 'event'; readonly which: number; readonly to: RuntimeType }
  | { readonly kind: 'overtake'; readonly which: number }
  | { readonly kind: 'network'; readonly which: number; readonly port: number }
  | { readonly kind: 'lose' | 'reorder'; readonly which: number }
  | { readonly kind: 'fail' | 'break' | 'silence' | 'heal'; readonly verb: Verb }
  | { readonly kind: 'wait'; readonly seconds: number }
  | { readonly kind: 'run'; readonly times: 1 | 2 };

const which = fc.nat(20);
export const action: fc.Arbitrary<Action> = fc.oneof(
  fc.record({
    kind: fc.constant('create' as const),
    start: fc.boolean(),
    placed: fc.boolean(),
    direct: fc.boolean(),
    memoryMB: fc.constantFrom(128, 512, 2000),
    diskMB: fc.constantFrom(1024, 4096, 12_000),
  }),
  fc.record({
    kind: fc.constantFrom('start' as const, 'stop' as const, 'restart' as const, 'remove' as const),
    which,
    direct: fc.boolean(),
  }),
  fc.record({ kind: fc.constant('exit' as const), which, direct: fc.constant(false) }),
  fc.record({ kind: fc.constantFrom('abort' as const, 'timeOut' as const), which }),
  fc.record({ kind: fc.constantFrom('cut' as const, 'connect' as const, 'heartbeat' as const), which }),
  fc.record({
    kind: fc.constantFrom('convert' as const, 'event' as const),
    which,
    to: fc.constantFrom<RuntimeType>('Default', 'HyperV'),
  }),
  fc.record({ kind: fc.constantFrom('overtake' as const, 'lose' as const, 'reorder' as const), which }),
  fc.record({
    kind: fc.constantFrom('fail' as const, 'break' as const, 'silence' as const, 'heal' as const),
    verb: fc.constantFrom(...VERBS),
  }),
  fc.record({ kind: fc.constant('network' as const), which, port: fc.integer({ min: 1, max: 3 }) }),
  fc.record({
    kind: fc.constantFrom('fail' as const, 'silence' as const, 'heal' as const),
    verb: fc.constant('setNetworkPolicy' as const),
  }),
  fc.record({ kind: fc.constant('wait' as const), seconds: fc.constantFrom(5, 70, 200) }),
  fc.record({ kind: fc.constant('run' as const), times: fc.constantFrom(1 as const, 2 as const) }),
);

/** Reads the complete state after each action and checks the invariants. */
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

  /** Compares a container with its earlier state, and adds its reservation to `held`. */
  #checkContainer(
    before: ContainerRecord | undefined,
    now: ContainerRecord,
    held: Map<string, { memoryMB: number; diskMB: number }>,
  ): void {
    expect(this.#gone.has(now.id)).toBe(false);
    if (before !== undefined && now.revision === before.revision + 1)
      expect([
        before.view.state,
        now.view.state,
        canTransitionContainer(before.view.state, now.view.state),
      ]).toEqual([before.view.state, now.view.state, true]);
    expect(now.epoch).toBeGreaterThanOrEqual(before?.epoch ?? 0);
    expect(now.revision).toBeGreaterThanOrEqual(before?.revision ?? 0);
    const { hostId } = now.view;
    if (hostId !== null) {
      const sum = held.get(hostId) ?? { memoryMB: 0, diskMB: 0 };
      sum.memoryMB += now.reservation?.memoryMB ?? 0;
      sum.diskMB += now.heldDiskMB;
      held.set(hostId, sum);
    }
    // Disk is reserved exactly while the container is placed on a host.
    expect([now.id, now.heldDiskMB]).toEqual([
      now.id,
      hostId === null ? 0 : diskFor(now.view.spec.resources),
    ]);
    if (now.view.state === 'Running') expect(now.reservation).not.toBeNull();
    // The reservation is exact once the type of the running container is known.
    if (now.view.state === 'Running' && now.view.activeOperationId === null) {
      const overhead = now.view.runtimeType === 'HyperV' ? FACTS.utilityVmOverheadMB : 0;
      expect([now.id, now.reservation?.memoryMB, now.conversion]).toEqual([
        now.id,
        now.view.spec.resources.memoryMB + overhead,
        null,
      ]);
      expect(now.ranAs).toContain(now.view.runtimeType);
    }
  }

  async check(): Promise<void> {
    const held = new Map<string, { memoryMB: number; diskMB: number }>();
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
      expect(free.diskMB).toBeGreaterThanOrEqual(0);
      const taken = held.get(hostId) ?? { memoryMB: 0, diskMB: 0 };
      expect(free.memoryMB + taken.memoryMB).toBe(view.facts.capacity.memoryMB);
      expect(free.diskMB + taken.diskMB).toBe(view.facts.capacity.diskMB);
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

const begin = async (
  world: World,
  watch: Watch,
  id: string,
  { kind, direct }: { readonly kind: keyof typeof OPERATION_STARTS; readonly direct: boolean },
) => {
  const container = await world.container(id);
  if (kind === 'convert' || container === undefined || container.view.activeOperationId !== null) return;
  if (!OPERATION_STARTS[kind].from.includes(container.view.state)) return;
  watch.operations.push((await world.begin(id, kind, {}, direct)).operationId);
};

const onContainer = async (
  world: World,
  watch: Watch,
  hosts: readonly FakeHost[],
  { kind, which: at, direct }: Extract<Action, { kind: 'start' | 'stop' | 'restart' | 'remove' | 'exit' }>,
): Promise<void> => {
  const id = pick(watch.ids, at);
  if (id === undefined) return;
  if (kind === 'exit') for (const host of hosts) host.exit(id, at);
  else await begin(world, watch, id, { kind, direct });
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

const FAULTS = {
  fail: (host: FakeHost) => host.failing,
  break: (host: FakeHost) => host.breaking,
  silence: (host: FakeHost) => host.silentOn,
} as const;

type Conversion = Extract<Action, { kind: 'convert' | 'event' }>;

const convert = async (world: World, watch: Watch, { which: at, to }: Conversion): Promise<void> => {
  const id = pick(watch.ids, at);
  const container = id === undefined ? undefined : await world.container(id);
  if (id === undefined || container === undefined || container.view.activeOperationId !== null) return;
  const { state, runtimeType, hostId } = container.view;
  if (!OPERATION_STARTS.convert.from.includes(state) || runtimeType === to || hostId === null) return;
  watch.operations.push((await world.convert(id, to)).operationId);
};

/** An event of a rule, whose step is invoked more than once. */
const byEvent = async (world: World, watch: Watch, { which: at, to }: Conversion): Promise<void> => {
  const containerId = pick(watch.ids, at);
  if (containerId === undefined) return;
  const run = createRunConversionRuleHandler({
    ...world.deps,
    randomBytes,
    startWorkflow: async (operation) => world.tasks.start(operation),
    eventTenants: { defaultTenant: TENANT, byOrigin: {} },
  });
  const event = {
    step: RULE_STEPS.convert,
    tenant: TENANT,
    run: { ruleId: 'model', at: randomUUID() },
    actor: 'rule:model',
    containerId,
    runtimeType: to,
    cooldownSeconds: 0,
    dryRun: false,
  };
  for (const taskToken of ['one', 'two']) await run({ ...event, taskToken });
};

const overtake = async (world: World, watch: Watch, at: number): Promise<void> => {
  const id = pick(watch.ids, at);
  const container = id === undefined ? undefined : await world.container(id);
  if (id === undefined || container === undefined || container.tombstone !== null) return;
  if (container.view.activeOperationId === null || container.view.state === 'Removing') return;
  watch.operations.push(await world.supersede(id));
};

/** Sets the network policy by `PATCH`. */
const setNetwork = async (world: World, watch: Watch, at: number, port: number): Promise<void> => {
  const idOrName = pick(watch.ids, at);
  if (idOrName === undefined) return;
  const { clock: _, lines: __, ...http } = testDependencies();
  const startWorkflow = async (operation: OperationRecord) => world.tasks.start(operation);
  const handler = updateContainer({ ...http, ...world.deps, startWorkflow });
  const network = { egress: { allow: [{ cidr: '8.8.8.8', ports: [port] }] } };
  const { status } = await call(handler, 'updateContainer', {
    params: { idOrName },
    body: { network },
    claims: { tenant: TENANT },
  });
  expect([200, 404]).toContain(status);
};

const apply = async (world: World, watch: Watch, hosts: readonly FakeHost[], one: Action): Promise<void> => {
  switch (one.kind) {
    case 'create': {
      const { kind: _, ...given } = one;
      const made = await world.create(given);
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
    case 'break':
    case 'silence':
      for (const host of hosts) FAULTS[one.kind](host).add(one.verb);
      return;
    case 'heal':
      for (const host of hosts) for (const fault of Object.values(FAULTS)) fault(host).delete(one.verb);
      return;
    case 'convert':
      return convert(world, watch, one);
    case 'event':
      return byEvent(world, watch, one);
    case 'network':
      return setNetwork(world, watch, one.which, one.port);
    case 'overtake':
      return overtake(world, watch, one.which);
    case 'lose':
      pick(hosts, one.which)?.outbox.splice(0);
      return;
    case 'reorder':
      pick(hosts, one.which)?.outbox.reverse();
      return;
    case 'wait':
      world.clock.now += one.seconds * 1000;
      world.tasks.expire();
      return world.sweep();
    case 'run':
      return world.settle(one.times);
    default:
      return onContainer(world, watch, hosts, one);
  }
};

const MINUTES_OF_CALM = 8;

const allOperations = async ({ table }: World): Promise<readonly IndexedOperation[]> => {
  const shards = listShards.operationsByTime(TENANT).map((pk) => ({ pk, sk: '' }));
  const pages = await Promise.all(shards.map((key) => table.query({ index: 'gsi1', key, sort: 'any' })));
  return pages.flatMap(({ items }) => items).map(parseIndexedOperation);
};

/** Ends all faults: hosts are connected and answer, and time passes until everything is settled. */
const calm = async (world: World, watch: Watch, hosts: readonly FakeHost[]): Promise<void> => {
  for (const host of hosts) {
    for (const fault of Object.values(FAULTS)) fault(host).clear();
    await world.connect(host);
  }
  for (let minute = 0; minute < MINUTES_OF_CALM; minute += 1) {
    await world.settle();
    world.clock.now += 60_000;
    world.tasks.expire();
    for (const host of hosts) host.heartbeat();
    await world.settle();
    await world.sweep();
    await watch.check();
  }
};

/**
 * The host has the policy of the container and has confirmed it. A host that got a stop command but never the spec need
 * not have a policy, because the next start delivers it.
 */
const expectPolicy = ({ id, view }: ContainerRecord, host: FakeHost): void => {
  if (view.hostId !== host.hostId || !host.containers.has(id)) return;
  const { network, networkRevision } = view.spec;
  const known = host.policies.get(id);
  expect([id, view.networkPending, known]).toEqual([id, false, known && { network, networkRevision }]);
};

const expectTruth = async (world: World, watch: Watch, hosts: readonly FakeHost[]): Promise<void> => {
  for (const id of watch.ids) {
    const container = await world.container(id);
    const really = hosts.filter((host) => host.running().includes(id));
    if (container?.view.activeOperationId !== null && container !== undefined) continue;
    expect([id, container?.view.state === 'Running']).toEqual([id, really.length === 1]);
    expect(container?.view.state).not.toBe('Unknown');
    for (const host of hosts) if (container !== undefined) expectPolicy(container, host);
    if (really[0] !== undefined)
      expect([id, really[0].containers.get(id)?.runtimeType]).toEqual([id, container?.view.runtimeType]);
  }
  const waiting = (await allOperations(world)).filter(({ view }) => !isEnded(view.state));
  // A waiting operation has a reason and ends at its deadline.
  expect(waiting.filter(({ view }) => view.reason === null).map(({ id, view }) => [id, view.kind])).toEqual(
    [],
  );
};

/** Runs a sequence of actions. @param twice how often each function is invoked for a step */
export const walk = async (table: EngineTable, actions: readonly Action[], twice: number): Promise<void> => {
  const world = openWorld(table);
  world.tasks.invocations = twice;
  // Little disk, so that in some sequences it is exhausted first.
  const capacity = { ...FACTS.capacity, diskMB: 16_384 };
  const hosts = [await world.addHost({ capacity }), await world.addHost({ capacity })];
  for (const host of hosts) await world.connect(host);
  await world.settle();
  const watch = new Watch(world);
  for (const one of actions) {
    await apply(world, watch, hosts, one);
    await watch.check();
  }
  await calm(world, watch, hosts);
  await expectTruth(world, watch, hosts);
};

export const sequences = fc.tuple(fc.array(action, { minLength: 5, maxLength: 40 }), fc.constantFrom(1, 2));
