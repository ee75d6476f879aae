import { createHash } from 'node:crypto';
import { DatabaseSync, type SQLOutputValue, type StatementSync } from 'node:sqlite';
import type { Execution, Frame, HistoryEvent, MapInput } from '../interpreter/model.ts';
import type { JsonObject } from '../json.ts';

/** An execution as stored in its row. */
export interface ExecutionRow {
  arn: string;
  machine_arn: string;
  machine_name: string;
  role_arn: string;
  definition_hash: string;
  name: string;
  status: Execution['status'];
  started_at: number;
  stopped_at: number | null;
  timeout_at: number | null;
  input: string;
  output: string | null;
  error: string | null;
  cause: string | null;
  event_count: number;
  next_frame: number;
  transitions: number;
  started_by: string | null;
  pruned: number;
}

export interface OutboxRow {
  id: number;
  event: string;
}

type Row = Readonly<Record<string, SQLOutputValue>>;

/** The columns have these types by the schema below, which only this file writes. */
const executionRow = (row: Row): ExecutionRow => ({
  arn: row.arn as string,
  machine_arn: row.machine_arn as string,
  machine_name: row.machine_name as string,
  role_arn: row.role_arn as string,
  definition_hash: row.definition_hash as string,
  name: row.name as string,
  status: row.status as ExecutionRow['status'],
  started_at: row.started_at as number,
  stopped_at: row.stopped_at as number | null,
  timeout_at: row.timeout_at as number | null,
  input: row.input as string,
  output: row.output as string | null,
  error: row.error as string | null,
  cause: row.cause as string | null,
  event_count: row.event_count as number,
  next_frame: row.next_frame as number,
  transitions: row.transitions as number,
  started_by: row.started_by as string | null,
  pruned: row.pruned as number,
});

const SCHEMA = `
  PRAGMA journal_mode = WAL;
  PRAGMA synchronous = NORMAL;
  CREATE TABLE IF NOT EXISTS definitions (hash TEXT PRIMARY KEY, source TEXT NOT NULL) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS executions (
    seq INTEGER PRIMARY KEY, arn TEXT NOT NULL UNIQUE, machine_arn TEXT NOT NULL, machine_name TEXT NOT NULL,
    role_arn TEXT NOT NULL, definition_hash TEXT NOT NULL, name TEXT NOT NULL, status TEXT NOT NULL,
    started_at INTEGER NOT NULL, stopped_at INTEGER, timeout_at INTEGER, input TEXT NOT NULL, output TEXT,
    error TEXT, cause TEXT, event_count INTEGER NOT NULL, next_frame INTEGER NOT NULL,
    transitions INTEGER NOT NULL, started_by TEXT, pruned INTEGER NOT NULL DEFAULT 0);
  CREATE INDEX IF NOT EXISTS executions_by_machine ON executions (machine_arn, status, seq);
  CREATE INDEX IF NOT EXISTS executions_open ON executions (seq) WHERE status = 'RUNNING';
  CREATE INDEX IF NOT EXISTS executions_closed ON executions (stopped_at) WHERE pruned = 0;
  CREATE TABLE IF NOT EXISTS frames (
    execution TEXT NOT NULL, id INTEGER NOT NULL, data TEXT NOT NULL, map_input TEXT,
    PRIMARY KEY (execution, id)) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS events (
    execution TEXT NOT NULL, id INTEGER NOT NULL, previous INTEGER NOT NULL, timestamp INTEGER NOT NULL,
    type TEXT NOT NULL, details TEXT, PRIMARY KEY (execution, id)) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS outbox (id INTEGER PRIMARY KEY AUTOINCREMENT, event TEXT NOT NULL);
`;

const STATEMENTS = {
  definition: 'INSERT OR IGNORE INTO definitions VALUES (?, ?)',
  source: 'SELECT source FROM definitions WHERE hash = ?',
  insert: `INSERT INTO executions (arn, machine_arn, machine_name, role_arn, definition_hash, name, status,
    started_at, timeout_at, input, event_count, next_frame, transitions, started_by)
    VALUES (?, ?, ?, ?, ?, ?, 'RUNNING', ?, ?, ?, 0, 1, 0, ?)`,
  update: `UPDATE executions SET status = ?, stopped_at = ?, output = ?, error = ?, cause = ?, event_count = ?,
    next_frame = ?, transitions = ? WHERE arn = ?`,
  get: 'SELECT * FROM executions WHERE arn = ?',
  open: `SELECT * FROM executions WHERE status = 'RUNNING' ORDER BY seq`,
  frame: `INSERT INTO frames VALUES (?, ?, ?, ?) ON CONFLICT (execution, id) DO UPDATE SET data = excluded.data,
    map_input = coalesce(excluded.map_input, map_input)`,
  frames: 'SELECT data, map_input FROM frames WHERE execution = ? ORDER BY id',
  dropFrame: 'DELETE FROM frames WHERE execution = ? AND id = ?',
  event: 'INSERT INTO events VALUES (?, ?, ?, ?, ?, ?)',
  events: 'SELECT * FROM events WHERE execution = ? AND id > ? ORDER BY id LIMIT ?',
  eventsBack: 'SELECT * FROM events WHERE execution = ? AND id < ? ORDER BY id DESC LIMIT ?',
  outboxAdd: 'INSERT INTO outbox (event) VALUES (?) RETURNING id',
  outbox: 'SELECT id, event FROM outbox ORDER BY id',
  outboxDrop: 'DELETE FROM outbox WHERE id = ?',
  prunable: 'SELECT arn FROM executions WHERE pruned = 0 AND stopped_at < ? LIMIT 1000',
  pruneEvents: 'DELETE FROM events WHERE execution = ?',
  pruneRow: `UPDATE executions SET pruned = 1, input = '', output = NULL, error = NULL, cause = NULL WHERE arn = ?`,
} as const;

type Statements = { readonly [name in keyof typeof STATEMENTS]: StatementSync };

/** A page of executions, newest first. */
export interface ListQuery {
  machineArn: string;
  status: string | undefined;
  /** Only executions older than the one with this sequence number. */
  before: number | undefined;
  limit: number;
}

/**
 * The executions' durable state: one row per execution, frame and event. Writes that are queued in one
 * turn of the event loop are committed as one transaction.
 */
export class Store {
  readonly #database: DatabaseSync;
  readonly #statements: Statements;
  /** Map inputs that are already stored: they can be long and never change. */
  readonly #written = new WeakSet<MapInput>();
  #queue: { write: () => void; resolve: () => void; reject: (error: unknown) => void }[] = [];

  constructor(file: string) {
    this.#database = new DatabaseSync(file);
    this.#database.exec(SCHEMA);
    this.#statements = Object.fromEntries(
      Object.entries(STATEMENTS).map(([name, sql]) => [name, this.#database.prepare(sql)]),
    ) as Statements;
  }

  /** Resolves once the writes are durable. */
  commit(write: () => void): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#queue.push({ write, resolve, reject });
      if (this.#queue.length === 1) setImmediate(() => this.#flush());
    });
  }

  #flush(): void {
    const batch = this.#queue;
    this.#queue = [];
    if (batch.length === 0) return;
    try {
      this.#database.exec('BEGIN IMMEDIATE');
      for (const { write } of batch) write();
      this.#database.exec('COMMIT');
    } catch (error) {
      if (this.#database.isOpen && this.#database.isTransaction) this.#database.exec('ROLLBACK');
      for (const { reject } of batch) reject(error);
      return;
    }
    for (const { resolve } of batch) resolve();
  }

  /** Keeps a definition for the executions that start with it. */
  addDefinition(source: string): string {
    const hash = createHash('sha256').update(source).digest('hex');
    this.#statements.definition.run(hash, source);
    return hash;
  }

  definition(hash: string): string | undefined {
    return this.#statements.source.get(hash)?.source as string | undefined;
  }

  execution(arn: string): ExecutionRow | undefined {
    const row = this.#statements.get.get(arn);
    return row && executionRow(row);
  }

  openExecutions(): ExecutionRow[] {
    return this.#statements.open.all().map(executionRow);
  }

  listExecutions(query: ListQuery): (ExecutionRow & { seq: number })[] {
    const conditions = ['machine_arn = ?', 'pruned = 0'];
    const values: (string | number)[] = [query.machineArn];
    if (query.status !== undefined) {
      conditions.push('status = ?');
      values.push(query.status);
    }
    if (query.before !== undefined) {
      conditions.push('seq < ?');
      values.push(query.before);
    }
    const sql = `SELECT * FROM executions WHERE ${conditions.join(' AND ')} ORDER BY seq DESC LIMIT ?`;
    const rows = this.#database.prepare(sql).all(...values, query.limit);
    return rows.map((row) => ({ ...executionRow(row), seq: row.seq as number }));
  }

  insertExecution(execution: Execution, definitionHash: string): void {
    const { arn, machine, name, startedAt, timeoutAt, input, startedBy } = execution;
    this.#statements.insert.run(
      arn,
      machine.arn,
      machine.name,
      machine.roleArn,
      definitionHash,
      name,
      startedAt,
      timeoutAt,
      input,
      startedBy,
    );
  }

  /** Writes the changes of an execution since its last commit. */
  save(execution: Execution, dirty: Iterable<number>, events: HistoryEvent[]): void {
    const { arn } = execution;
    this.#statements.update.run(
      execution.status,
      execution.stoppedAt,
      execution.output,
      execution.error,
      execution.cause,
      execution.eventCount,
      execution.nextFrame,
      execution.transitions,
      arn,
    );
    for (const id of dirty) {
      const frame = execution.frames.get(id);
      if (frame) this.#saveFrame(arn, frame);
      else this.#statements.dropFrame.run(arn, id);
    }
    for (const { id, previousEventId, timestamp, type, details } of events) {
      this.#statements.event.run(
        arn,
        id,
        previousEventId,
        timestamp,
        type,
        details && JSON.stringify(details),
      );
    }
  }

  #saveFrame(arn: string, frame: Frame): void {
    const { mapInput, ...data } = frame;
    const fresh = mapInput !== null && !this.#written.has(mapInput);
    this.#statements.frame.run(arn, frame.id, JSON.stringify(data), fresh ? JSON.stringify(mapInput) : null);
    if (mapInput) this.#written.add(mapInput);
  }

  frames(arn: string): Frame[] {
    return this.#statements.frames.all(arn).map((row) => {
      const data = JSON.parse(row.data as string) as Omit<Frame, 'mapInput'>;
      if (data.children === null || row.map_input === null) return { ...data, mapInput: null };
      const mapInput = JSON.parse(row.map_input as string) as MapInput;
      this.#written.add(mapInput);
      return { ...data, mapInput };
    });
  }

  /** @param after the page starts after this event id, in the requested order */
  events(arn: string, after: number, limit: number, reverse: boolean): HistoryEvent[] {
    const statement = reverse ? this.#statements.eventsBack : this.#statements.events;
    return statement.all(arn, after, limit).map((row) => ({
      id: row.id as number,
      previousEventId: row.previous as number,
      timestamp: row.timestamp as number,
      type: row.type as string,
      details: row.details === null ? null : (JSON.parse(row.details as string) as JsonObject),
    }));
  }

  addToOutbox(event: unknown): OutboxRow {
    const text = JSON.stringify(event);
    return { id: this.#statements.outboxAdd.get(text)?.id as number, event: text };
  }

  outbox(): OutboxRow[] {
    return this.#statements.outbox.all().map((row) => ({ id: row.id as number, event: row.event as string }));
  }

  dropFromOutbox(id: number): void {
    this.#statements.outboxDrop.run(id);
  }

  /** Deletes closed executions, except their names, which stay taken. */
  prune(closedBefore: number): number {
    const rows = this.#statements.prunable.all(closedBefore);
    for (const { arn } of rows) {
      this.#statements.pruneEvents.run(arn as string);
      this.#statements.pruneRow.run(arn as string);
    }
    return rows.length;
  }

  close(): void {
    this.#flush();
    if (this.#database.isOpen) this.#database.close();
  }
}
