/**
 * Asynchronous invocations: durable before they are acknowledged, attempted up to three times, then sent to the
 * function's on-failure destination or dead-letter queue.
 *
 * At least once: a row is deleted only after its invocation has ended, so one that ran while the process was
 * killed runs again. Source of the rules: Lambda Developer Guide, "How Lambda handles errors and retries with
 * asynchronous invocation". One difference: AWS waits 1 and 2 minutes before the retries.
 */
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import type { Chaos } from '../chaos.ts';
import { openDatabase } from '../database.ts';
import type { Clock, InvocationResult, Log } from '../engine.ts';

export interface AsyncSettings {
  readonly functionArn: string;
  /** Retries after the first attempt. */
  readonly maxRetries: number;
  readonly maxAgeMs: number;
  readonly onFailureArn: string | undefined;
  readonly deadLetterArn: string | undefined;
}

export interface AsyncDeps {
  readonly file: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly newId: () => string;
  readonly chaos: Chaos;
  readonly retryDelaysMs: readonly number[];
  readonly settings: (functionName: string) => AsyncSettings | undefined;
  readonly invoke: (functionName: string, payload: string, requestId: string) => Promise<InvocationResult>;
  /** Sends to a queue. @throws when there is no such queue. */
  readonly sendToQueue: (
    queueArn: string,
    body: string,
    attributes: Readonly<Record<string, string>>,
  ) => void;
}

interface Row {
  readonly id: string;
  readonly functionName: string;
  readonly payload: string;
  readonly createdAt: number;
  attempt: number;
}

const schema = `CREATE TABLE IF NOT EXISTS async_invocations (
  id TEXT PRIMARY KEY, function_name TEXT NOT NULL, payload TEXT NOT NULL,
  created_at INTEGER NOT NULL, attempt INTEGER NOT NULL, due_at INTEGER NOT NULL
) STRICT`;

/** The input of an event target can be text that is not JSON. The function has failed in that case. */
const parsedOrText = (payload: string): unknown => {
  try {
    return JSON.parse(payload);
  } catch {
    return payload;
  }
};

export class AsyncInvocations {
  readonly #deps: AsyncDeps;
  readonly #database: DatabaseSync;
  readonly #insert: StatementSync;
  readonly #update: StatementSync;
  readonly #remove: StatementSync;
  readonly #timers = new Map<string, () => void>();
  readonly #running = new Set<Promise<void>>();
  #active = false;

  constructor(deps: AsyncDeps) {
    this.#deps = deps;
    this.#database = openDatabase(deps.file, schema);
    this.#insert = this.#database.prepare('INSERT INTO async_invocations VALUES (?, ?, ?, ?, 0, ?)');
    this.#update = this.#database.prepare(
      'UPDATE async_invocations SET attempt = ?, due_at = ? WHERE id = ?',
    );
    this.#remove = this.#database.prepare('DELETE FROM async_invocations WHERE id = ?');
  }

  /** Durable when this returns. @returns the request id. */
  accept(functionName: string, payload: string): string {
    const id = this.#deps.newId();
    const now = this.#deps.clock.now();
    this.#insert.run(id, functionName, payload, now, now);
    const row = { id, functionName, payload, createdAt: now, attempt: 0 };
    if (this.#active) this.#schedule(row, now);
    return id;
  }

  /** Starts with the invocations that the last run left over. */
  activate(): void {
    this.#active = true;
    const left = this.#database.prepare('SELECT * FROM async_invocations ORDER BY created_at').all();
    for (const row of left) {
      const { id, function_name, payload, created_at, attempt, due_at } = row;
      this.#schedule(
        {
          id: String(id),
          functionName: String(function_name),
          payload: String(payload),
          createdAt: Number(created_at),
          attempt: Number(attempt),
        },
        Number(due_at),
      );
    }
  }

  quiesce(): void {
    this.#active = false;
    for (const cancel of this.#timers.values()) cancel();
    this.#timers.clear();
  }

  async drain(): Promise<void> {
    await Promise.all(this.#running);
  }

  close(): void {
    if (this.#database.isOpen) this.#database.close();
  }

  #schedule(row: Row, dueAt: number): void {
    const cancel = this.#deps.clock.after(Math.max(0, dueAt - this.#deps.clock.now()), () => {
      this.#timers.delete(row.id);
      const attempt = this.#attempt(row).finally(() => this.#running.delete(attempt));
      this.#running.add(attempt);
    });
    this.#timers.set(row.id, cancel);
  }

  async #attempt(row: Row): Promise<void> {
    const settings = this.#deps.settings(row.functionName);
    if (settings === undefined) {
      this.#deps.log.error('async invocation of a function that no longer exists', {
        functionName: row.functionName,
      });
      this.#remove.run(row.id);
      return;
    }
    row.attempt += 1;
    const result = await this.#deps.invoke(row.functionName, row.payload, row.id);
    if (result.functionError === undefined) {
      if (this.#deps.chaos.duplicates()) await this.#deps.invoke(row.functionName, row.payload, row.id);
      if (this.#database.isOpen) this.#remove.run(row.id);
      return;
    }
    // The function did not cause a failure during shutdown, so it runs again at the next start.
    if (this.#active) this.#afterFailure(row, settings, result);
  }

  #afterFailure(row: Row, settings: AsyncSettings, result: InvocationResult): void {
    const { clock, log, retryDelaysMs } = this.#deps;
    const delay = retryDelaysMs[row.attempt - 1] ?? retryDelaysMs.at(-1) ?? 0;
    const tooOld = clock.now() + delay - row.createdAt > settings.maxAgeMs;
    if (row.attempt <= settings.maxRetries && !tooOld) {
      const dueAt = clock.now() + delay;
      this.#update.run(row.attempt, dueAt, row.id);
      this.#schedule(row, dueAt);
      return;
    }
    log.warn('async invocation failed permanently', {
      functionName: row.functionName,
      requestId: row.id,
      attempts: row.attempt,
      result: result.payload,
    });
    this.#giveUp(row, settings, result, tooOld ? 'EventAgeExceeded' : 'RetriesExhausted');
    this.#remove.run(row.id);
  }

  #giveUp(row: Row, settings: AsyncSettings, result: InvocationResult, condition: string): void {
    if (settings.onFailureArn !== undefined) {
      const record = {
        version: '1.0',
        timestamp: new Date(this.#deps.clock.now()).toISOString(),
        requestContext: {
          requestId: row.id,
          functionArn: `${settings.functionArn}:$LATEST`,
          condition,
          approximateInvokeCount: row.attempt,
        },
        requestPayload: parsedOrText(row.payload),
        responseContext: { statusCode: 200, executedVersion: '$LATEST', functionError: result.functionError },
        responsePayload: JSON.parse(result.payload),
      };
      this.#deps.sendToQueue(settings.onFailureArn, JSON.stringify(record), {});
    }
    if (settings.deadLetterArn !== undefined) {
      const { errorMessage } = JSON.parse(result.payload) as { errorMessage?: string };
      this.#deps.sendToQueue(settings.deadLetterArn, row.payload, {
        RequestID: row.id,
        ErrorCode: '200',
        ErrorMessage: (errorMessage ?? '').slice(0, 1024),
      });
    }
  }
}
