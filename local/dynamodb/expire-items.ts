/**
 * Time to live. dynoxide deletes expired items only when its sweep tool is called, over its management endpoint
 * (Model Context Protocol). A sweep reads the whole table (5 ms per 1,000 items here) while other calls wait. So
 * it runs only when an index shows an expired item, and the pause after it grows with its duration. AWS itself
 * guarantees deletion only within days.
 */
import { DatabaseSync } from 'node:sqlite';
import type { Clock, Log } from '../engine.ts';
import { ServiceError } from '../errors.ts';

const shortestPauseMs = 30_000;
/** Maximum share of time for sweeping. */
const share = 1 / 200;

export interface Sweeper {
  /** One sweep now. @throws ServiceError when the endpoint refuses. */
  sweep(): Promise<void>;
  start(): void;
  stop(): void;
}

const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`;
const expiryOf = (attribute: string): string => {
  const path = `$."${attribute}".N`.replaceAll("'", "''");
  return `CAST(json_extract(item_json, '${path}') AS INTEGER)`;
};

/** Determines within microseconds whether a table has expired items. Can be created while dynoxide runs. */
export class ExpiryIndex {
  readonly #database: DatabaseSync;
  readonly #queries: string[] = [];

  constructor(databaseFile: string) {
    this.#database = new DatabaseSync(databaseFile);
    this.#database.exec('PRAGMA busy_timeout = 5000');
  }

  /** Idempotent. */
  add(table: string, attribute: string): void {
    const expiry = expiryOf(attribute);
    const name = quoted(`bulkhead_expiry_${table}_${attribute}`);
    this.#database.exec(
      `CREATE INDEX IF NOT EXISTS ${name} ON ${quoted(table)} (${expiry}) WHERE ${expiry} IS NOT NULL`,
    );
    this.#queries.push(
      `SELECT 1 FROM ${quoted(table)} WHERE ${expiry} IS NOT NULL AND ${expiry} < ? LIMIT 1`,
    );
  }

  hasExpired(nowMs: number): boolean {
    const seconds = Math.floor(nowMs / 1000);
    return this.#queries.some((query) => this.#database.prepare(query).get(seconds) !== undefined);
  }

  close(): void {
    if (this.#database.isOpen) this.#database.close();
  }
}

export const createSweeper = (deps: {
  readonly index: Pick<ExpiryIndex, 'hasExpired'>;
  readonly clock: Clock;
  readonly log: Log;
  readonly management: () => { readonly url: string; readonly token: string };
}): Sweeper => {
  const { clock, log } = deps;
  let cancel: (() => void) | undefined;
  let stopped = false;

  const post = async (session: string | null, message: object): Promise<string | null> => {
    const { url, token } = deps.management();
    const response = await fetch(url, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
        authorization: `Bearer ${token}`,
        ...(session !== null && { 'mcp-session-id': session }),
      },
      body: JSON.stringify({ jsonrpc: '2.0', ...message }),
      signal: AbortSignal.timeout(60_000),
    });
    const text = await response.text();
    if (!response.ok || text.includes('"isError":true')) {
      throw new ServiceError('SweepFailed', text.slice(0, 200), response.status);
    }
    return response.headers.get('mcp-session-id') ?? session;
  };

  const sweep = async (): Promise<void> => {
    const clientInfo = { name: 'bulkhead', version: '1' };
    const params = { protocolVersion: '2025-03-26', capabilities: {}, clientInfo };
    const session = await post(null, { id: 1, method: 'initialize', params });
    await post(session, { method: 'notifications/initialized', params: {} });
    await post(session, { id: 2, method: 'tools/call', params: { name: 'sweep_ttl', arguments: {} } });
  };

  const schedule = (pauseMs: number): void => {
    if (stopped) return;
    cancel = clock.after(pauseMs, () => {
      const begun = clock.now();
      const swept = deps.index.hasExpired(begun) ? sweep() : Promise.resolve();
      swept
        .catch((error: unknown) => log.warn('sweep of expired items failed', { error: String(error) }))
        .finally(() => schedule(Math.max(shortestPauseMs, (clock.now() - begun) / share)));
    });
  };

  return {
    sweep,
    start: () => schedule(shortestPauseMs),
    stop: () => {
      stopped = true;
      cancel?.();
    },
  };
};
