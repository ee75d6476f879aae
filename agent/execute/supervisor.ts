import type { AssignedContainer } from '../../core/contract/agent/commands.ts';
import type { Clock } from '../clock.ts';
import { messageOf } from '../errors.ts';
import type { Log } from '../log.ts';
import { type Assignment, plan, type Target } from '../plan/plan.ts';
import type { Runtime, RuntimeContainer } from '../runtimes/runtime.ts';
import type { AgentState, ContainerRecord } from '../state/agent-state.ts';
import type { ExclusiveRunner } from './exclusive-runner.ts';
import { executePlan } from './execute-plan.ts';
import { inspectContainer } from './inspect-container.ts';
import { decideRestart } from './restart-policy.ts';
import { StepRecorder } from './step-recorder.ts';

interface SupervisorDeps {
  readonly state: AgentState;
  readonly runtime: Runtime;
  readonly runner: ExclusiveRunner;
  readonly clock: Clock;
  readonly log: Log;
  /** Tells the control plane of a change that no command asked for. */
  readonly report: (containerId: string) => void;
}

export interface Supervisor {
  /**
   * Looks whether a container that is to run has ended by itself, and does as its restart policy says. To be
   * called after an exit, after each command on the container and when the agent starts; looking once too
   * often does nothing.
   */
  consider(containerId: string): Promise<void>;
  /** Takes down what is left of runs and starts that are over, of containers no command is waiting for. */
  tidy(): Promise<void>;
  stop(): void;
}

/**
 * Keeps containers running as their restart policies say, by itself: it needs no control plane for it.
 *
 * An ended run: taken down → (policy) waiting → started again, or not restarted (`desired` is `Off` then).
 * Races: everything is done in the container's lane, and what is recorded is read again when a wait ends: a
 * command that came meanwhile has had its turn by then, and has changed it. A restart is counted before it is begun,
 * so that an agent that crashes in between cannot restart it endlessly.
 */
export const createSupervisor = (deps: SupervisorDeps): Supervisor => {
  const { state, runtime, runner, clock, log, report } = deps;
  /** By container: the wait for its next restart. */
  const waiting = new Map<string, () => void>();
  let stopped = false;

  const bringTo = async (
    record: ContainerRecord,
    target: Target,
    found: RuntimeContainer | null,
  ): Promise<void> => {
    const assignment: Assignment = {
      containerId: record.id,
      container: target === 'Running' ? record.container : null,
      target,
      stopTimeoutSeconds: 0,
      instanceId: `restart:${record.id}:${record.appliedEpoch}:${record.restartCount}`,
    };
    const recorder = new StepRecorder(clock, () => undefined);
    const signal = new AbortController().signal;
    await executePlan({ runtime, clock }, plan(assignment, found), { recorder, signal });
  };

  const takeDown = async (record: ContainerRecord, found: RuntimeContainer): Promise<void> => {
    try {
      await bringTo(record, 'Off', found);
    } catch (error) {
      log.error('could not take down an ended container', {
        containerId: record.id,
        cause: messageOf(error),
      });
    }
  };

  const settle = async (id: string): Promise<void> => {
    const record = state.container(id);
    const found = await inspectContainer(runtime, id);
    if (stopped || waiting.has(id) || record?.container == null || record.desired !== 'Running') return;
    if (found === null || found.process === null || found.process.running) return;
    await takeDown(record, found);
    restartOrStop(record, record.container, {
      exitCode: found.process.exitCode,
      ranForMs: (found.process.endedAt ?? clock.now()).getTime() - found.process.startedAt.getTime(),
    });
  };

  const restartOrStop = (
    record: ContainerRecord,
    container: AssignedContainer,
    ended: { exitCode: number | null; ranForMs: number },
  ): void => {
    const decision = decideRestart(container.spec.restartPolicy, { ...record, ...ended });
    log.info('a main process ended', {
      containerId: record.id,
      exitCode: ended.exitCode,
      restartInMs: decision?.delayMs,
    });
    if (decision === null) state.update(record.id, { desired: 'Off' });
    else {
      state.update(record.id, { backoffMs: decision.delayMs });
      const wait = () => {
        waiting.delete(record.id);
        guarded(record.id, () => restart(record.id));
      };
      waiting.set(record.id, clock.after(decision.delayMs, wait));
    }
    report(record.id);
  };

  const restart = async (id: string): Promise<void> => {
    const record = state.container(id);
    const found = await inspectContainer(runtime, id);
    if (stopped || record?.container == null || record.desired !== 'Running') return;
    if (found?.process?.running) return;
    const restartCount = record.restartCount + 1;
    state.update(id, { restartCount });
    const counted = { ...record, restartCount };
    try {
      await bringTo(counted, 'Running', found);
      report(id);
    } catch (error) {
      log.warn('a restart failed', { containerId: id, cause: messageOf(error) });
      const left = await inspectContainer(runtime, id);
      if (left !== null) await takeDown(counted, left);
      restartOrStop(counted, record.container, { exitCode: null, ranForMs: 0 });
    }
  };

  /** Runs in the container's lane. A failure is only logged. */
  const guarded = (id: string, act: () => Promise<void>): Promise<void> =>
    runner.run(id, act).catch((error: unknown) => {
      log.error('could not look after a container', { containerId: id, cause: messageOf(error) });
    });

  const tidyOne = async (id: string): Promise<void> => {
    const record = state.container(id);
    const found = await inspectContainer(runtime, id);
    if (record === null || found === null || found.process?.running) return;
    if (record.desired === 'Running' || record.desired === 'Provisioned') return;
    await takeDown(record, found);
  };

  return {
    consider: (id) => guarded(id, () => settle(id)),
    tidy: async () => {
      const awaited = new Set(state.openCommands().map((one) => one.command?.containerId));
      const ids = state.containers().flatMap(({ id }) => (awaited.has(id) ? [] : [id]));
      await Promise.all(ids.map((id) => guarded(id, () => tidyOne(id))));
    },
    stop: () => {
      stopped = true;
      for (const cancel of waiting.values()) cancel();
      waiting.clear();
    },
  };
};
