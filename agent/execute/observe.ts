import type { ObservedContainer } from '../../core/contract/agent/commands.ts';
import type { MainProcess, Runtime, RuntimeContainer } from '../runtimes/runtime.ts';
import type { AgentState, ContainerRecord } from '../state/agent-state.ts';

const LONGEST_REASON = 512;

/** The runtime's state of a container in the form of a report. A container whose VM runs no process yet is `Off` too. */
const toObserved = (
  containerId: string,
  sequence: number,
  found: RuntimeContainer | null,
  record: ContainerRecord | null,
): ObservedContainer => {
  const process = found?.process ?? null;
  const there = found?.writableLayer ? 'Off' : 'Absent';
  return {
    containerId,
    epoch: record?.appliedEpoch ?? 0,
    phase: process?.running ? 'Running' : there,
    runtimeType: found?.runtimeType ?? record?.container?.runtimeType ?? 'Default',
    startedAt: process?.startedAt.toISOString() ?? null,
    exitCode: process?.running ? null : (process?.exitCode ?? null),
    exitReason: process?.running ? null : (process?.exitReason?.slice(0, LONGEST_REASON) ?? null),
    restartCount: record?.restartCount ?? 0,
    workerProcess: found?.workerProcess ?? null,
    sequence,
    ...(process && { run: runOf(process, found, record) }),
  };
};

const runOf = (
  process: MainProcess,
  found: RuntimeContainer | null,
  record: ContainerRecord | null,
): NonNullable<ObservedContainer['run']> => ({
  endedAt: process.running ? null : (process.endedAt?.toISOString() ?? null),
  // Once the restart policy has decided, it has set the wait before the next start.
  restarting: !process.running && record?.desired === 'Running' && record.backoffMs > 0,
  outOfMemory: process.outOfMemory === true,
  ports: process.running ? [...(found?.ports ?? [])] : [],
  ...(process.running && found?.address !== undefined ? { address: found.address } : {}),
});

interface ObserveDeps {
  readonly runtime: Pick<Runtime, 'inspect'>;
  readonly state: Pick<AgentState, 'nextSequence' | 'container' | 'containers'>;
}

/**
 * Observes one container. The sequence is taken before the observation, so that an observation of a change has a larger
 * number than any observation before the change.
 */
export const observe = async ({ runtime, state }: ObserveDeps, id: string): Promise<ObservedContainer> => {
  const sequence = state.nextSequence();
  const [found = null] = await runtime.inspect(id);
  return toObserved(id, sequence, found, state.container(id));
};

/** Observes all containers of Bulkhead on the host, including those that are not in the journal. */
export const observeAll = async ({ runtime, state }: ObserveDeps): Promise<ObservedContainer[]> => {
  const sequence = state.nextSequence();
  const found = await runtime.inspect();
  const records = new Map(state.containers().map((record) => [record.id, record]));
  return found.map((one) => toObserved(one.id, sequence, one, records.get(one.id) ?? null));
};
