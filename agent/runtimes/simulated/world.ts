import type { DatabaseSync } from 'node:sqlite';
import * as z from 'zod/mini';
import { AssignedContainerSchema } from '../../../core/contract/agent/commands.ts';
import { type ImageFacts, ImageFactsSchema } from '../../../core/contract/image.ts';
import { ResolvedNetworkPolicySchema } from '../../../core/contract/network.ts';
import { type DatabaseFormat, inTransaction, openDatabase, withoutFlush } from '../../state/open-database.ts';

/**
 * The simulated machine: its VMs, disks and processes as rows of a SQLite file, so that they survive the agent as on a real
 * machine. This class only stores state; the runtime makes the decisions.
 */

const RunSchema = z.object({
  instanceId: z.string(),
  /** Determines the process ids on the host. Unique among the runs that share the host's kernel. */
  place: z._default(z.number(), 0),
  startedAt: z.number(),
  /** When the run ends by itself, in milliseconds of the epoch; null if it must be stopped. */
  endsAt: z.nullable(z.number()),
  /** The exit code at that time. */
  endsWith: z.number(),
  stubborn: z.boolean(),
  endedAt: z.nullable(z.number()),
  exitCode: z.nullable(z.number()),
  exitReason: z.nullable(z.string()),
});
export type Run = z.infer<typeof RunSchema>;

const SimulatedContainerSchema = z.object({
  id: z.string(),
  container: AssignedContainerSchema,
  /** Identifies the writable layer, and does not change during its lifetime. */
  layerId: z.string(),
  /** Determines the id of the worker process. Unique among the existing containers. */
  slot: z.number(),
  utilityVm: z.enum(['Absent', 'Created', 'Connected', 'Spent']),
  networkEndpoint: z.boolean(),
  /** The endpoint's policy; null without an endpoint. */
  networkPolicy: z._default(z.nullable(ResolvedNetworkPolicySchema), null),
  disksAttached: z.boolean(),
  layersMounted: z.boolean(),
  untrustedDisk: z._default(z.boolean(), false),
  run: z.nullable(RunSchema),
  /** The instance ids of all past runs, to detect a second start. */
  runs: z.array(z.string()),
});
export type SimulatedContainer = z.infer<typeof SimulatedContainerSchema>;

/** Faults that a test can inject into a step. */
export const FAULT_ACTIONS = ['fail', 'hang', 'die-before', 'die-after'] as const;
export type FaultAction = (typeof FAULT_ACTIONS)[number];

const TABLES = `
  CREATE TABLE IF NOT EXISTS containers (id TEXT PRIMARY KEY, slot INTEGER NOT NULL UNIQUE, data TEXT NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS images (name TEXT PRIMARY KEY COLLATE NOCASE, data TEXT NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS faults (
    step TEXT NOT NULL, action TEXT NOT NULL, remaining INTEGER NOT NULL, PRIMARY KEY (step, action)
  ) STRICT;
  CREATE TABLE IF NOT EXISTS made (what TEXT PRIMARY KEY) STRICT;
`;

export const WORLD_FORMAT: DatabaseFormat = {
  name: 'simulated machine',
  upgrades: [
    (database) => database.exec(TABLES),
    // Containers can have an entrypoint, and images a configuration.
    () => undefined,
  ],
};

const PLACES = `
  SELECT COALESCE(json_extract(data, '$.run.place'), 0) FROM containers
  WHERE json_extract(data, '$.run') IS NOT NULL AND json_extract(data, '$.run.endedAt') IS NULL
    AND json_extract(data, '$.container.runtimeType') = 'Default'
`;

const lowestFree = (taken: readonly number[]): number => {
  const set = new Set(taken);
  let free = 0;
  while (set.has(free)) free += 1;
  return free;
};

export class World {
  readonly #db: DatabaseSync;

  /** Opens the machine in `file`; a new one holds `images`. */
  constructor(file: string, images: readonly ImageFacts[] = []) {
    this.#db = openDatabase(file, { exclusive: false, format: WORLD_FORMAT });
    this.#change(() => {
      const first = this.#db.prepare(`INSERT OR IGNORE INTO made (what) VALUES ('images')`).run().changes;
      if (images.length > 0 && Number(first) > 0) for (const image of images) this.#writeImage(image);
    });
  }

  container(id: string): SimulatedContainer | null {
    const row = this.#db.prepare('SELECT data FROM containers WHERE id = ?').get(id);
    return row === undefined ? null : this.#read(row);
  }

  containers(): SimulatedContainer[] {
    return this.#db
      .prepare('SELECT data FROM containers ORDER BY slot')
      .all()
      .map((row) => this.#read(row));
  }

  /** Adds a container to the machine, in the lowest free slot. */
  add(container: Omit<SimulatedContainer, 'slot'>): void {
    this.#change(() => {
      const slot = lowestFree(this.#numbers('SELECT slot FROM containers'));
      this.#db
        .prepare('INSERT INTO containers (id, slot, data) VALUES (?, ?, ?)')
        .run(container.id, slot, JSON.stringify({ ...container, slot }));
    });
  }

  /** The lowest place that no run of a process-isolated container uses. Reads no whole container: there may be many. */
  freePlace(): number {
    return lowestFree(this.#numbers(PLACES));
  }

  /** Changes a container, if it exists. */
  change(id: string, change: (now: SimulatedContainer) => Partial<SimulatedContainer>): void {
    this.#change(() => {
      const now = this.container(id);
      if (now === null) return;
      this.#db
        .prepare('UPDATE containers SET data = ? WHERE id = ?')
        .run(JSON.stringify({ ...now, ...change(now) }), id);
    });
  }

  remove(id: string): void {
    this.#db.prepare('DELETE FROM containers WHERE id = ?').run(id);
  }

  images(): ImageFacts[] {
    return this.#db
      .prepare('SELECT data FROM images ORDER BY name')
      .all()
      .map((row) => z.parse(ImageFactsSchema, JSON.parse(String(row.data))));
  }

  /** Finds an image by name, ignoring case. */
  image(name: string): ImageFacts | null {
    return this.images().find((one) => one.name.toLowerCase() === name.toLowerCase()) ?? null;
  }

  putImage(image: ImageFacts): void {
    this.#change(() => this.#writeImage(image));
  }

  removeImage(name: string): void {
    this.#db.prepare('DELETE FROM images WHERE name = ?').run(name);
  }

  /** Injects `action` into the next `times` executions of the step. */
  addFault(step: string, action: FaultAction, times: number): void {
    this.#db
      .prepare('INSERT OR REPLACE INTO faults (step, action, remaining) VALUES (?, ?, ?)')
      .run(step, action, times);
  }

  /** Consumes a fault of the step before it occurs, so that a restarted process does not hit it again. */
  takeFault(step: string): FaultAction | null {
    const row = this.#db
      .prepare(
        `UPDATE faults SET remaining = remaining - 1 WHERE rowid =
         (SELECT rowid FROM faults WHERE step = ? AND remaining > 0 ORDER BY rowid LIMIT 1) RETURNING action`,
      )
      .get(step);
    return FAULT_ACTIONS.find((action) => action === row?.action) ?? null;
  }

  close(): void {
    if (this.#db.isOpen) this.#db.close();
  }

  #numbers(sql: string): number[] {
    return this.#db
      .prepare(sql)
      .all()
      .map((row) => Number(Object.values(row)[0]));
  }

  #writeImage(image: ImageFacts): void {
    this.#db
      .prepare('INSERT OR REPLACE INTO images (name, data) VALUES (?, ?)')
      .run(image.name, JSON.stringify(image));
  }

  #read(row: Record<string, unknown>): SimulatedContainer {
    return z.parse(SimulatedContainerSchema, JSON.parse(String(row.data)));
  }

  /** Not flushed: a power failure ends a simulated machine too. */
  #change(act: () => void): void {
    withoutFlush(this.#db, () => inTransaction(this.#db, act));
  }
}
