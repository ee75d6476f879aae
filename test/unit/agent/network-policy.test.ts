import { randomUUID } from 'node:crypto';
import { beforeEach, describe, expect, test } from '@jest/globals';
import { type CommandHandler, createCommandHandler } from '../../../agent/execute/command-handler.ts';
import { ExclusiveRunner } from '../../../agent/execute/exclusive-runner.ts';
import { withNewestPolicy } from '../../../agent/execute/newest-policy.ts';
import { createSupervisor } from '../../../agent/execute/supervisor.ts';
import { createLog } from '../../../agent/log.ts';
import type { Runtime } from '../../../agent/runtimes/runtime.ts';
import type { AgentState } from '../../../agent/state/agent-state.ts';
import { createMemoryState } from '../../../agent/state/memory-state.ts';
import type { AssignedContainer, Command, CommandArguments } from '../../../core/contract/agent/commands.ts';
import { type ResolvedNetworkPolicy, resolveNetworkPolicy } from '../../../core/contract/network.ts';
import { container } from '../../helpers/assigned-container.ts';
import { ManualClock } from '../../helpers/manual-clock.ts';
import { simulatedHost } from '../../helpers/simulated-host.ts';

const HOST = 'aaaaaaaa-0000-4000-8000-000000000001';
const STEP_MS = 100;

let clock: ManualClock;
let state: AgentState;
let host: ReturnType<typeof simulatedHost>;
let runtime: Runtime;
let runner: ExclusiveRunner;
let ended: string[];
let handler: CommandHandler;

const log = () => createLog({ level: 'error', forPeople: false, clock, write: () => undefined });
const begin = (): void => {
  runtime = withNewestPolicy(host.runtime, state);
  runner = new ExclusiveRunner(8);
  handler = createCommandHandler({
    state,
    runtime,
    runner,
    clock,
    log: log(),
    resultBytes: 100_000,
    onAnswered: () => undefined,
    onProgress: () => undefined,
    onSettled: () => undefined,
    onImagesChanged: () => undefined,
    sessions: {
      answer: async () => ({}),
      endOf: (containerId) => void ended.push(containerId),
      removed: () => undefined,
    },
  });
};

beforeEach(() => {
  clock = new ManualClock();
  state = createMemoryState(clock);
  host = simulatedHost('linux', clock, { min: STEP_MS, max: STEP_MS });
  ended = [];
  begin();
});

const give = (one: AssignedContainer, args: CommandArguments, extra: Partial<Command> = {}): string => {
  const id = extra.id ?? randomUUID();
  const command = { id, hostId: HOST, containerId: one.id, epoch: 1, ttlSeconds: 60, arguments: args };
  handler.receive({ ...command, ...extra }, { nowMs: 0, expiresAtMs: 60_000 });
  return id;
};
const policy = (port: number): ResolvedNetworkPolicy =>
  resolveNetworkPolicy({ egress: { default: 'deny', allow: [{ cidr: '8.8.8.8', ports: [port] }] } });
/** The policy of revision n allows port n, so that it is distinguishable from the others. */
const set = (one: AssignedContainer, revision: number, extra: Partial<Command> = {}): string =>
  give(one, { verb: 'setNetworkPolicy', network: policy(revision), revision }, { epoch: 0, ...extra });
const start = (one: AssignedContainer): string => give(one, { verb: 'startContainer', container: one });
const resultOf = (id: string) => state.command(id)?.result;
const inForce = ({ id }: AssignedContainer) => host.world.container(id)?.networkPolicy;
const of = (runtimeType: 'Default' | 'HyperV', command = ['sleep', '600']): AssignedContainer =>
  container({ command, runtimeType });
const started = async (one: AssignedContainer): Promise<void> => {
  start(one);
  await clock.pass(10_000);
};

describe.each(['Default', 'HyperV'] as const)('a network policy of a %s container', (runtimeType) => {
  test('is applied when the command is answered, without a restart, and sessions continue', async () => {
    const one = of(runtimeType);
    await started(one);
    expect(inForce(one)).toEqual(one.spec.network);
    ended = [];
    const id = set(one, 5, { epoch: 99 });
    await clock.pass(STEP_MS);
    expect(resultOf(id)).toMatchObject({ status: 'succeeded' });
    expect(inForce(one)).toEqual(policy(5));
    expect(host.world.container(one.id)?.runs).toHaveLength(1);
    expect([ended, state.container(one.id)?.newestEpoch]).toEqual([[], 1]);
    expect(await host.runtime.isolation(one.id)).toMatchObject({
      network: { policy: policy(5), ceiling: [], dropped: { packets: 0 } },
    });
  });

  test('is the one with the newest revision, for commands in any order and with repetitions', async () => {
    const one = of(runtimeType);
    await started(one);
    const ids = [7, 5, 9, 8, 9, 1].map((revision) => set(one, revision));
    await clock.pass(10_000);
    expect(ids.map((id) => resultOf(id)?.status)).toEqual(ids.map(() => 'succeeded'));
    expect(inForce(one)).toEqual(policy(9));
  });

  test('does not wait for other commands, such as a stop that takes minutes', async () => {
    const one = of(runtimeType, ['sh', '-c', "trap '' TERM; sleep 600"]);
    await started(one);
    const stop = give(one, { verb: 'stopContainer', timeoutSeconds: 600 });
    await clock.pass(1_000);
    const id = set(one, 5);
    await clock.pass(STEP_MS);
    expect([resultOf(id)?.status, resultOf(stop)]).toEqual(['succeeded', null]);
    expect(inForce(one)).toEqual(policy(5));
  });

  test('that is set while the container starts is applied before its main process runs', async () => {
    for (let at = 0; at <= 8 * STEP_MS; at += STEP_MS / 2) {
      const one = of(runtimeType);
      start(one);
      await clock.pass(at);
      set(one, 5);
      while (!host.world.container(one.id)?.run) await clock.pass(STEP_MS / 4);
      await clock.pass(STEP_MS);
      expect([at, inForce(one)]).toEqual([at, policy(5)]);
    }
  });

  test('is applied before the main process runs, even if the agent was killed after it created the endpoint', async () => {
    const one = of(runtimeType);
    give(one, { verb: 'prepareContainer', container: one });
    await clock.pass(1_000);
    // The state after a crash of the agent: an endpoint with the older policy, and the newer policy in the journal.
    host.world.change(one.id, () => ({ networkEndpoint: true, networkPolicy: one.spec.network }));
    state.update(one.id, { network: { policy: policy(5), revision: 5 } });
    const begun = host.runtime.startProcess.bind(host.runtime);
    const atStart: unknown[] = [];
    host.runtime.startProcess = (...args) => {
      atStart.push(inForce(one));
      return begun(...args);
    };
    await started(one);
    expect(atStart).toEqual([policy(5)]);
  });

  test('of a stopped container applies to its next start, even if the start command has an older policy', async () => {
    const one = of(runtimeType);
    give(one, { verb: 'prepareContainer', container: one });
    await clock.pass(1_000);
    set(one, 5);
    await clock.pass(1_000);
    expect(inForce(one)).toBeNull();
    await started(one);
    expect(inForce(one)).toEqual(policy(5));
  });

  test('in a start command applies if it is newer than the set policy', async () => {
    const one = of(runtimeType);
    await started(one);
    set(one, 5);
    await clock.pass(1_000);
    const newer = { ...one, spec: { ...one.spec, network: policy(8), networkRevision: 8 } };
    give(one, { verb: 'restartContainer', container: newer, timeoutSeconds: 0 }, { epoch: 2 });
    await clock.pass(10_000);
    expect(inForce(one)).toEqual(policy(8));
    set(one, 6);
    await clock.pass(1_000);
    expect(inForce(one)).toEqual(policy(8));
  });

  test('is kept by a conversion', async () => {
    const one = of(runtimeType);
    await started(one);
    set(one, 5);
    await clock.pass(1_000);
    const other = runtimeType === 'Default' ? 'HyperV' : 'Default';
    const converted = { ...one, runtimeType: other } as const;
    const args = {
      verb: 'convertContainer',
      container: converted,
      from: runtimeType,
      timeoutSeconds: 0,
      acceptUntrustedDisk: true,
    } as const;
    const id = give(one, args, { epoch: 2 });
    await clock.pass(10_000);
    expect(resultOf(id)).toMatchObject({ status: 'succeeded', observed: { runtimeType: other } });
    expect(inForce(one)).toEqual(policy(5));
  });
});

describe('a network policy', () => {
  test('is kept by restarts of the restart policy', async () => {
    const one = container({ command: ['sh', '-c', 'exit 1'], restartPolicy: { name: 'always' } });
    const supervisor = createSupervisor({
      state,
      runtime,
      runner,
      clock,
      log: log(),
      report: () => undefined,
    });
    host.runtime.onExit((id) => void supervisor.consider(id));
    start(one);
    await clock.pass(500);
    set(one, 5);
    await clock.pass(10_000);
    const made: ResolvedNetworkPolicy[] = [];
    const create = host.runtime.createNetworkEndpoint.bind(host.runtime);
    host.runtime.createNetworkEndpoint = (given, signal) => {
      made.push(given.spec.network);
      return create(given, signal);
    };
    await clock.pass(60_000);
    supervisor.stop();
    expect(made.length).toBeGreaterThan(0);
    expect(made).toEqual(made.map(() => policy(5)));
  });

  test('is applied even if its command is late or has an old epoch', async () => {
    const one = of('Default');
    await started(one);
    give(one, { verb: 'startContainer', container: one }, { epoch: 50 });
    await clock.pass(1_000);
    const id = set(one, 5, { epoch: 2, ttlSeconds: 0 });
    await clock.pass(1_000);
    expect(resultOf(id)).toMatchObject({ status: 'succeeded' });
    expect(inForce(one)).toEqual(policy(5));
  });

  test('that a killed agent had received is applied by the next agent', async () => {
    const one = of('Default');
    await started(one);
    host.runtime.setNetworkPolicy = () => new Promise(() => undefined);
    const id = set(one, 5);
    await clock.pass(1_000);
    expect([inForce(one), resultOf(id)]).toEqual([one.spec.network, null]);
    Reflect.deleteProperty(host.runtime, 'setNetworkPolicy');
    begin();
    handler.resume();
    await clock.pass(1_000);
    expect(resultOf(id)).toMatchObject({ status: 'succeeded' });
    expect(inForce(one)).toEqual(policy(5));
  });

  test('that the host cannot apply is answered as failed and used for the next start', async () => {
    const one = of('Default');
    await started(one);
    host.world.addFault('setNetworkPolicy', 'fail', 1);
    const id = set(one, 5);
    await clock.pass(1_000);
    expect(resultOf(id)).toMatchObject({ status: 'failed' });
    expect(inForce(one)).toEqual(one.spec.network);
    give(one, { verb: 'restartContainer', container: one, timeoutSeconds: 0 }, { epoch: 2 });
    await clock.pass(10_000);
    expect(inForce(one)).toEqual(policy(5));
  });

  test('that cannot be applied prevents the start of the container', async () => {
    const one = of('Default');
    give(one, { verb: 'prepareContainer', container: one });
    await clock.pass(1_000);
    set(one, 5);
    await clock.pass(1_000);
    host.world.addFault('setNetworkPolicy', 'fail', 1);
    const id = start(one);
    await clock.pass(10_000);
    expect(resultOf(id)).toMatchObject({ status: 'failed', error: { step: 'StartProcess' } });
    expect(host.world.container(one.id)?.runs).toEqual([]);
  });

  test('is the newest for each of 8 containers after 100 parallel changes', async () => {
    const all = Array.from({ length: 8 }, () => of('Default'));
    for (const one of all) start(one);
    await clock.pass(10_000);
    for (let revision = 1; revision <= 100; revision += 1)
      for (const one of all) set(one, (revision * 37) % 101);
    await clock.pass(60_000);
    expect(all.map(inForce)).toEqual(all.map(() => policy(100)));
    expect(state.openCommands()).toEqual([]);
  });

  test('without a container is refused', async () => {
    const id = set(of('Default'), 5, { containerId: null });
    await clock.pass(1_000);
    expect(resultOf(id)).toMatchObject({ status: 'failed', error: { code: 'validation-failed' } });
  });
});
