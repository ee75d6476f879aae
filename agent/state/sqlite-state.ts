import * as z from 'zod/mini';
import {
  AssignedContainerSchema,
  CommandResultSchema,
  CommandSchema,
} from '../../core/contract/agent/commands.ts';
import { ResolvedNetworkPolicySchema } from '../../core/contract/network.ts';
import { OperationStepSchema } from '../../core/contract/operation.ts';
import type { Clock } from '../clock.ts';
import { DiskReserve } from '../disk-reserve.ts';
import { messageOf, StateUnavailableError } from '../errors.ts';
import { TARGETS } from '../plan/plan.ts';
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
import { addColumn, inTransaction, openDatabase } from './open-database.ts';

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS commands (
    arrival INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    container_id TEXT,
    state TEXT NOT NULL,
    received_at_ms REAL NOT NULL,
    command TEXT,
    context TEXT,
    steps TEXT NOT NULL DEFAULT '[]',
    result TEXT,
    touched_at INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX IF NOT EXISTS commands_by_state ON commands (state, arrival);
  CREATE TABLE IF NOT EXISTS containers (
    id TEXT PRIMARY KEY,
    container TEXT,
    desired TEXT NOT NULL,
    newest_epoch INTEGER NOT NULL,
    applied_epoch INTEGER NOT NULL,
    restart_count INTEGER NOT NULL,
    backoff_ms REAL NOT NULL,
    touched_at INTEGER NOT NULL,
    network TEXT
  ) STRICT;
  CREATE TABLE IF NOT EXISTS spent_commands (id TEXT PRIMARY KEY, expires_at_ms INTEGER NOT NULL) STRICT;
  CREATE INDEX IF NOT EXISTS spent_by_expiry ON spent_commands (expires_at_ms);
  CREATE TABLE IF NOT EXISTS counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT;
`;

/** What can still be written when the disk is full while the journal is opened. */
const RESERVE_BYTES = 8 * 1024 * 1024;

/** Numbers of observations are taken from the file in blocks: a write for each would cost more than it tells. */
const SEQUENCE_BLOCK = 1_000;

const json = <T extends z.core.$ZodType>(schema: T) =>
  z.pipe(
    z.nullable(z.string()),
    z.pipe(
      z.transform((text: string | null): unknown => (text === null ? null : JSON.parse(text))),
      z.nullable(schema),
    ),
  );

const CommandRowSchema = z.object({
  id: z.string(),
  state: z.enum(['received', 'executing', 'answered', 'acknowledged']),
  received_at_ms: z.number(),
  command: json(CommandSchema),
  context: json(z.object({ layerExisted: z.boolean(), runningInstance: z.nullable(z.string()) })),
  steps: json(z.array(OperationStepSchema)),
  result: json(CommandResultSchema),
});

const ContainerRowSchema = z.object({
  id: z.string(),
  container: json(AssignedContainerSchema),
  desired: z.enum(TARGETS),
  newest_epoch: z.number(),
  applied_epoch: z.number(),
  restart_count: z.number(),
  backoff_ms: z.number(),
  network: json(z.object({ policy: ResolvedNetworkPolicySchema, revision: z.number() })),
});

const toCommand = (row: unknown): CommandRecord => {
  const { received_at_ms: receivedAtMs, steps, ...rest } = z.parse(CommandRowSchema, row);
  return { ...rest, receivedAtMs, steps: steps ?? [] };
};

const toContainer = (row: unknown): ContainerRecord => {
  const parsed = z.parse(ContainerRowSchema, row);
  return {
    id: parsed.id,
    container: parsed.container,
    desired: parsed.desired,
    newestEpoch: parsed.newest_epoch,
    appliedEpoch: parsed.applied_epoch,
    restartCount: parsed.restart_count,
    backoffMs: parsed.backoff_ms,
    network: parsed.network,
  };
};

/** Whatever goes wrong beneath is one thing to the agent: the journal cannot be used now. */
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

/** The journal in a SQLite file, whose lock it holds. Throws SQLite's error when the file cannot be opened. */
export const openSqliteState = (
  file: string,
  clock: Pick<Clock, 'now'>,
  bounds: JournalBounds = JOURNAL_BOUNDS,
): AgentState => {
  const reserve = new DiskReserve(`${file}.reserve`, RESERVE_BYTES);
  const db = reserve.use(() => openDatabase(file, { exclusive: true, schema: SCHEMA }));
  reserve.use(() => addColumn(db, 'containers', 'network TEXT'));
  const journal = new BoundedJournal(db, reserve, bounds);
  const unavailable = guardedBy(journal);
  const sql = {
    insert: db.prepare(
      `INSERT INTO commands (id, container_id, state, received_at_ms, command, steps, result, touched_at)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING`,
    ),
    spent: db.prepare('SELECT 1 FROM spent_commands WHERE id = ?'),
    spend: db.prepare('INSERT INTO spent_commands (id, expires_at_ms) VALUES (?, ?)'),
    forgetSpent: db.prepare('DELETE FROM spent_commands WHERE expires_at_ms < ?'),
    command: db.prepare('SELECT * FROM commands WHERE id = ?'),
    begin: db.prepare(
      `UPDATE commands SET state = 'executing', context = coalesce(context, ?), touched_at = ? WHERE id = ?`,
    ),
    steps: db.prepare('UPDATE commands SET steps = ?, touched_at = ? WHERE id = ?'),
    answer: db.prepare(
      `UPDATE commands SET state = 'answered', command = NULL, steps = ?, result = ?, touched_at = ? WHERE id = ?`,
    ),
    acknowledge: db.prepare(
      `UPDATE commands SET state = 'acknowledged', touched_at = ?,
       result = CASE WHEN context IS NULL THEN ? ELSE result END WHERE id = ? AND state = 'answered'`,
    ),
    reopen: db.prepare(
      `UPDATE commands SET state = 'answered', touched_at = ? WHERE id = ? AND state = 'acknowledged'`,
    ),
    open: db.prepare(`SELECT * FROM commands WHERE state IN ('received', 'executing') ORDER BY arrival`),
    unacknowledged: db.prepare(`SELECT * FROM commands WHERE state = 'answered' ORDER BY arrival`),
    container: db.prepare('SELECT * FROM containers WHERE id = ?'),
    containers: db.prepare('SELECT * FROM containers'),
    putContainer: db.prepare(
      `INSERT OR REPLACE INTO containers
       (id, container, desired, newest_epoch, applied_epoch, restart_count, backoff_ms, touched_at, network)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    ),
    pruneCommands: db.prepare(`DELETE FROM commands WHERE state = 'acknowledged' AND touched_at < ?`),
    pruneContainers: db.prepare(
      `DELETE FROM containers WHERE desired = 'Absent' AND touched_at < ? AND id NOT IN
       (SELECT container_id FROM commands WHERE state IN ('received', 'executing') AND container_id IS NOT NULL)`,
    ),
    takeBlock: db.prepare(
      `INSERT INTO counters (name, value) VALUES ('sequence', ?)
       ON CONFLICT (name) DO UPDATE SET value = value + excluded.value RETURNING value`,
    ),
  };
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

  /** @returns false for a command that was taken in before and is forgotten */
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
    recordSteps: unavailable((id, steps) => changed(id, sql.steps.run(JSON.stringify(steps), now(), id))),
    answer: unavailable((id, result) =>
      changed(id, sql.answer.run(JSON.stringify(result.steps), JSON.stringify(result), now(), id)),
    ),
    acknowledge: unavailable(
      (id) => void sql.acknowledge.run(now(), JSON.stringify(forgottenAnswer(id)), id),
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
