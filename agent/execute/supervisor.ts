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
  /** Reports a change without a command to the control plane. */
  readonly report: (containerId: string) => void;
}

export interface Supervisor {
  /**
   * Checks whether a container that should run has exited on its own, and applies its restart policy. Must be called after an
   * exit, after each command on the container and when the agent starts. Extra calls have no effect.
   */
  consider(containerId: string): Promise<void>;
  /** Cleans up ended runs and starts of containers without a waiting command. */
  tidy(): Promise<void>;
  stop(): void;
}

/**
 * Applies restart policies, without the control plane.
 *
 * An ended run: taken down → (policy) waiting → started again, or not restarted (`desired` is `Off` then).
 * Races: all work runs in the container's lane, and the record is read again after a wait: a command that
 * arrived in between has run by then and has changed it. A restart is counted before it starts,
 * so that an agent that crashes in between cannot restart it endlessly.
 */
export const createSupervisor = (deps: SupervisorDeps): Supervisor => {
  const { state, runtime, runner, clock, log, report } = deps;
  /** Pending restarts by container. */
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
      log.error('could not supervise a container', { containerId: id, cause: messageOf(error) });
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
