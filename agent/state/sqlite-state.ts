import type { Clock } from '../clock.ts';
import { DiskReserve } from '../disk-reserve.ts';
import { messageOf, StateUnavailableError } from '../errors.ts';
import {
  type AgentState,
  applyChange,
  type CommandRecord,
  type ContainerRecord,
  forgottenAnswer,
  unrecorded,
  type Validity,
} from './agent-state.ts';
import { BoundedJournal, JOURNAL_BOUNDS, type JournalBounds } from './journal-bounds.ts';
import { JOURNAL_FORMAT, prepareStatements, toCommand, toContainer } from './journal-tables.ts';
import { inTransaction, openDatabase, withoutFlush } from './open-database.ts';

/** Space for writes if the disk is full when the journal is opened. */
const RESERVE_BYTES = 8 * 1024 * 1024;

/** Sequence numbers are reserved in blocks, to avoid a write for each observation. */
const SEQUENCE_BLOCK = 1_000;

/** Converts every failure of the database to one error: the journal cannot be used now. */
const guardedBy =
  (journal: BoundedJournal) =>
  <A extends unknown[], R>(act: (...args: A) => R) =>
  (...args: A): R => {
    try {
      return journal.write(() => act(...args));
    } catch (error) {
      if (error instanceof StateUnavailableError) throw error;
      throw new StateUnavailableError(`The agent's journal cannot be used: ${messageOf(error)}`, {
        cause: error,
      });
    }
  };

/** A journal in a SQLite file, which it locks. Throws SQLite's error if the file cannot be opened. */
export const openSqliteState = (
  file: string,
  clock: Pick<Clock, 'now'>,
  bounds: JournalBounds = JOURNAL_BOUNDS,
): AgentState => {
  const reserve = new DiskReserve(`${file}.reserve`, RESERVE_BYTES);
  const db = reserve.use(() => openDatabase(file, { exclusive: true, format: JOURNAL_FORMAT }));
  const journal = new BoundedJournal(db, reserve, bounds);
  const unavailable = guardedBy(journal);
  const sql = prepareStatements(db);
  const now = () => clock.now().getTime();
  const container = (id: string) => {
    const row = sql.container.get(id);
    return row === undefined ? null : toContainer(row);
  };
  const putContainer = (one: ContainerRecord) =>
    sql.putContainer.run(
      one.id,
      one.container === null ? null : JSON.stringify(one.container),
      one.desired,
      one.newestEpoch,
      one.appliedEpoch,
      one.restartCount,
      one.backoffMs,
      now(),
      one.network === null ? null : JSON.stringify(one.network),
    );
  const recorded = (id: string): CommandRecord => {
    const row = sql.command.get(id);
    if (row === undefined) throw new StateUnavailableError(`No command ${id} is recorded.`);
    return toCommand(row);
  };
  const changed = (id: string, { changes }: { changes: number | bigint }) => {
    if (changes === 0) throw new StateUnavailableError(`No command ${id} is recorded.`);
  };
  let sequence = { next: 0, end: 0 };

  /** @returns false for a command that was received before and is pruned */
  const spend = (id: string, { nowMs, expiresAtMs }: Validity): boolean => {
    sql.forgetSpent.run(nowMs);
    if (sql.command.get(id) !== undefined) return true;
    if (sql.spent.get(id) !== undefined) return false;
    sql.spend.run(id, expiresAtMs);
    return true;
  };

  const receive: AgentState['receive'] = (command, at) => {
    journal.admit();
    return inTransaction(db, () => {
      const id = command.containerId;
      const text = JSON.stringify(command);
      if (!spend(command.id, at)) return { replayed: true };
      const inserted = sql.insert.run(command.id, id, 'received', at.monotonicMs, text, '[]', null, now());
      const fresh = inserted.changes > 0;
      if (fresh) journal.added();
      const before = id === null ? null : (container(id) ?? unrecorded(id));
      const raises = fresh && before !== null && at.changesContainer && command.epoch > before.newestEpoch;
      if (raises) putContainer({ ...before, newestEpoch: command.epoch });
      const newestEpoch = raises ? command.epoch : (before?.newestEpoch ?? 0);
      return { replayed: false, fresh, record: recorded(command.id), newestEpoch };
    });
  };

  return {
    receive: unavailable(receive),
    refuse: unavailable((id, result) => {
      journal.admit();
      const steps = JSON.stringify(result.steps);
      const row = sql.insert.run(id, null, 'answered', 0, null, steps, JSON.stringify(result), now());
      if (row.changes > 0) journal.added();
    }),
    begin: unavailable((id, context) => {
      changed(id, sql.begin.run(JSON.stringify(context), now(), id));
      return recorded(id);
    }),
    recordSteps: unavailable((id, steps) =>
      withoutFlush(db, () => changed(id, sql.steps.run(JSON.stringify(steps), now(), id))),
    ),
    answer: unavailable((id, result) =>
      changed(id, sql.answer.run(JSON.stringify(result.steps), JSON.stringify(result), now(), id)),
    ),
    acknowledge: unavailable((id) =>
      withoutFlush(db, () => void sql.acknowledge.run(now(), JSON.stringify(forgottenAnswer(id)), id)),
    ),
    reopen: unavailable((id) => void sql.reopen.run(now(), id)),
    command: unavailable((id) => (sql.command.get(id) === undefined ? null : recorded(id))),
    openCommands: unavailable(() => sql.open.all().map(toCommand)),
    unacknowledged: unavailable(() => sql.unacknowledged.all().map(toCommand)),
    container: unavailable(container),
    containers: unavailable(() => sql.containers.all().map(toContainer)),
    update: unavailable((id, change) => {
      inTransaction(db, () => putContainer(applyChange(container(id) ?? unrecorded(id), change)));
    }),
    nextSequence: unavailable(() => {
      if (sequence.next >= sequence.end) {
        const end = Number(sql.takeBlock.get(SEQUENCE_BLOCK)?.value);
        sequence = { next: end - SEQUENCE_BLOCK, end };
      }
      sequence.next += 1;
      return sequence.next;
    }),
    prune: unavailable((before) => {
      const pruned = inTransaction(db, () => {
        const cutoff = before.getTime();
        const commands = sql.pruneCommands.run(cutoff).changes;
        return Number(commands) + Number(sql.pruneContainers.run(cutoff).changes);
      });
      journal.pruned();
      return pruned;
    }),
    close: () => {
      if (db.isOpen) db.close();
    },
  };
};
