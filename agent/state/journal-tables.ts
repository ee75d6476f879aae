import type { DatabaseSync } from 'node:sqlite';
import * as z from 'zod/mini';
import {
  AssignedContainerSchema,
  CommandResultSchema,
  CommandSchema,
} from '../../core/contract/agent/commands.ts';
import { ResolvedNetworkPolicySchema } from '../../core/contract/network.ts';
import { OperationStepSchema } from '../../core/contract/operation.ts';
import { TARGETS } from '../plan/plan.ts';
import type { CommandRecord, ContainerRecord } from './agent-state.ts';
import { addColumn, type DatabaseFormat } from './open-database.ts';

const TABLES = `
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

/** Each change of the tables, or of the JSON in their columns, needs a new version. */
export const JOURNAL_FORMAT: DatabaseFormat = {
  name: 'journal',
  upgrades: [
    (database) => {
      database.exec(TABLES);
      // Version 0 had no network policies.
      addColumn(database, 'containers', 'network TEXT');
    },
    // Containers can have an entrypoint, and images a configuration.
    () => undefined,
  ],
};

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

export const toCommand = (row: unknown): CommandRecord => {
  const { received_at_ms: receivedAtMs, steps, ...rest } = z.parse(CommandRowSchema, row);
  return { ...rest, receivedAtMs, steps: steps ?? [] };
};

export const toContainer = (row: unknown): ContainerRecord => {
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

/** The journal's statements. */
export const prepareStatements = (db: DatabaseSync) => ({
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
});
