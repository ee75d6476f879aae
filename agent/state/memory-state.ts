import type { CommandResult } from '../../core/contract/agent/commands.ts';
import type { Clock } from '../clock.ts';
import { StateUnavailableError } from '../errors.ts';
import {
  type AgentState,
  applyChange,
  type CommandRecord,
  type CommandState,
  type ContainerRecord,
  forgottenAnswer,
  unrecorded,
  type Validity,
} from './agent-state.ts';

interface Touched {
  touchedAt: number;
}

/** An in-memory journal for tests. */
export const createMemoryState = (clock: Pick<Clock, 'now'>): AgentState => {
  const commands = new Map<string, CommandRecord & Touched>();
  const containers = new Map<string, ContainerRecord & Touched>();
  /** Ids of received commands, with their expiry. */
  const spent = new Map<string, number>();
  let sequence = 0;

  const put = (record: CommandRecord) =>
    commands.set(record.id, { ...structuredClone(record), touchedAt: clock.now().getTime() });
  const putContainer = (record: ContainerRecord) =>
    containers.set(record.id, { ...structuredClone(record), touchedAt: clock.now().getTime() });
  const known = (id: string): CommandRecord => {
    const found = commands.get(id);
    if (!found) throw new StateUnavailableError(`No command ${id} is recorded.`);
    const { touchedAt: _, ...record } = found;
    return structuredClone(record);
  };
  const inState = (...states: CommandState[]) =>
    [...commands.values()].filter((one) => states.includes(one.state)).map((one) => known(one.id));
  const container = (id: string): ContainerRecord | null => {
    const found = containers.get(id);
    if (!found) return null;
    const { touchedAt: _, ...record } = found;
    return structuredClone(record);
  };
  const answered = (id: string, result: CommandResult): CommandRecord => ({
    id,
    state: 'answered',
    command: null,
    receivedAtMs: 0,
    context: null,
    steps: result.steps,
    result,
  });

  /** @returns false for a command that was received before and is pruned */
  const spend = (id: string, { nowMs, expiresAtMs }: Validity): boolean => {
    for (const [one, endsAtMs] of spent) if (endsAtMs < nowMs) spent.delete(one);
    if (commands.has(id)) return true;
    if (spent.has(id)) return false;
    spent.set(id, expiresAtMs);
    return true;
  };

  return {
    receive: (command, at) => {
      const id = command.containerId;
      if (!spend(command.id, at)) return { replayed: true };
      const before = id === null ? null : (container(id) ?? unrecorded(id));
      const fresh = !commands.has(command.id);
      const raises = fresh && before !== null && at.changesContainer && command.epoch > before.newestEpoch;
      if (raises) putContainer({ ...before, newestEpoch: command.epoch });
      if (fresh)
        put({
          id: command.id,
          state: 'received',
          command,
          receivedAtMs: at.monotonicMs,
          context: null,
          steps: [],
          result: null,
        });
      const newestEpoch = raises ? command.epoch : (before?.newestEpoch ?? 0);
      return { replayed: false, fresh, record: known(command.id), newestEpoch };
    },
    refuse: (id, result) => {
      if (commands.has(id)) return;
      put(answered(id, result));
    },
    begin: (id, context) => {
      const record = known(id);
      put({ ...record, state: 'executing', context: record.context ?? context });
      return known(id);
    },
    recordSteps: (id, steps) => put({ ...known(id), steps }),
    answer: (id, result) =>
      put({ ...known(id), state: 'answered', command: null, steps: result.steps, result }),
    acknowledge: (id) => {
      const record = commands.get(id);
      if (record?.state !== 'answered') return;
      const result = record.context === null ? forgottenAnswer(id) : record.result;
      put({ ...known(id), state: 'acknowledged', result });
    },
    reopen: (id) => {
      if (commands.get(id)?.state === 'acknowledged') put({ ...known(id), state: 'answered' });
    },
    command: (id) => (commands.has(id) ? known(id) : null),
    openCommands: () => inState('received', 'executing'),
    unacknowledged: () => inState('answered'),
    container,
    containers: () => [...containers.keys()].flatMap((id) => container(id) ?? []),
    update: (id, change) => putContainer(applyChange(container(id) ?? unrecorded(id), change)),
    nextSequence: () => ++sequence,
    prune: (before) => {
      const old = (one: Touched) => one.touchedAt < before.getTime();
      const forgotten = [...commands.values()].filter((one) => one.state === 'acknowledged' && old(one));
      for (const one of forgotten) commands.delete(one.id);
      const busy = new Set([...commands.values()].map((one) => one.command?.containerId));
      const gone = [...containers.values()].filter(
        (one) => one.desired === 'Absent' && old(one) && !busy.has(one.id),
      );
      for (const one of gone) containers.delete(one.id);
      return forgotten.length + gone.length;
    },
    close: () => undefined,
  };
};
