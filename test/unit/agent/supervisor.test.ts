import { beforeEach, describe, expect, test } from '@jest/globals';
import { ExclusiveRunner } from '../../../agent/execute/exclusive-runner.ts';
import { createSupervisor, type Supervisor } from '../../../agent/execute/supervisor.ts';
import { createLog } from '../../../agent/log.ts';
import type { AgentState } from '../../../agent/state/agent-state.ts';
import { createMemoryState } from '../../../agent/state/memory-state.ts';
import type { AssignedContainer } from '../../../core/contract/agent/commands.ts';
import type { RestartPolicy } from '../../../core/contract/primitives.ts';
import { container } from '../../helpers/assigned-container.ts';
import { ManualClock } from '../../helpers/manual-clock.ts';
import { simulatedHost } from '../../helpers/simulated-host.ts';

const signal = new AbortController().signal;
let clock: ManualClock;
let state: AgentState;
let host: ReturnType<typeof simulatedHost>;
let reported: string[];
let supervisor: Supervisor;

beforeEach(() => {
  clock = new ManualClock();
  state = createMemoryState(clock);
  host = simulatedHost('linux', clock);
  reported = [];
  supervisor = createSupervisor({
    state,
    runtime: host.runtime,
    runner: new ExclusiveRunner(8),
    clock,
    log: createLog({ level: 'error', forPeople: false, clock, write: () => undefined }),
    report: (id) => void reported.push(id),
  });
  host.runtime.onExit((id) => void supervisor.consider(id));
});

const running = async (
  command: string[],
  restartPolicy: RestartPolicy,
  extra = {},
): Promise<AssignedContainer> => {
  const one = container({ command, restartPolicy, switchName: 'none', ...extra });
  state.update(one.id, { container: one, desired: 'Running', appliedEpoch: 1 });
  const steps = [
    host.runtime.createWritableLayer(one, signal),
    host.runtime.mountLayers(one, signal).catch(() => undefined),
  ];
  await clock.pass(0);
  await Promise.all(steps);
  const start = host.runtime.startProcess(one, 'by a command', signal);
  await clock.pass(0);
  await start;
  return one;
};
const runs = ({ id }: AssignedContainer) => host.world.container(id)?.runs.length;

describe('the supervisor', () => {
  test('restarts failed containers with growing pauses up to the limit', async () => {
    const one = await running(['sh', '-c', 'exit 1'], { name: 'on-failure', maxRetries: 3 });
    await clock.pass(99);
    expect(runs(one)).toBe(1);
    await clock.pass(1);
    expect(runs(one)).toBe(2);
    await clock.pass(200);
    expect(runs(one)).toBe(3);
    await clock.pass(60_000);
    expect(runs(one)).toBe(4);
    expect(state.container(one.id)).toMatchObject({ desired: 'Off', restartCount: 3 });
    expect(host.world.container(one.id)).toMatchObject({ layersMounted: false });
    expect(reported.length).toBeGreaterThanOrEqual(7);
  });

  test('does not restart a container that was stopped, including during the pause', async () => {
    const one = await running(['false'], { name: 'always' });
    state.update(one.id, { desired: 'Off' });
    await clock.pass(60_000);
    expect(runs(one)).toBe(1);
  });

  test('does not restart running or unassigned containers', async () => {
    const one = await running(['sleep', '600'], { name: 'always' });
    const unknown = container({ command: ['sleep', '600'], switchName: 'none' });
    const made = host.runtime.createWritableLayer(unknown, signal);
    await clock.pass(0);
    await made;
    const before = host.world.containers();
    const all = Promise.all([
      supervisor.tidy(),
      supervisor.consider(one.id),
      supervisor.consider(unknown.id),
    ]);
    await clock.pass(60_000);
    await all;
    expect(host.world.containers()).toEqual(before);
  });

  test('two checks restart a container once', async () => {
    const one = await running(['true'], { name: 'always' });
    const looks = Promise.all([supervisor.consider(one.id), supervisor.consider(one.id)]);
    await clock.pass(0);
    await looks;
    await clock.pass(100);
    expect(runs(one)).toBe(2);
  });

  test('cleans up after an interrupted start and keeps a provisioned VM', async () => {
    const all = await Promise.all(
      (['Off', 'Provisioned'] as const)
        .map(async (desired) => {
          const one = container({ runtimeType: 'HyperV' });
          state.update(one.id, { container: one, desired });
          await host.runtime.createWritableLayer(one, signal);
          await host.runtime.createUtilityVm(one, signal);
          return one;
        })
        .map(async (made) => {
          for (let round = 0; round < 4; round += 1) await clock.pass(0);
          return made;
        }),
    );
    const tidied = supervisor.tidy();
    await clock.pass(0);
    await tidied;
    expect(all.map(({ id }) => host.world.container(id)?.utilityVm)).toEqual(['Absent', 'Created']);
  });

  test('stops restarting when the agent stops', async () => {
    const one = await running(['false'], { name: 'always' });
    await clock.pass(0);
    supervisor.stop();
    await clock.pass(60_000);
    expect(runs(one)).toBe(1);
  });
});
