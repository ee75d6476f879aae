/**
 * Standard queues in one SQLite file. A message is visible, in flight (received, until its visibility timeout), or
 * gone (deleted, expired, or moved to the dead-letter queue after too many receives).
 */
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import type { Chaos } from '../chaos.ts';
import { openDatabase, transaction } from '../database.ts';
import type { Clock } from '../engine.ts';
import { ServiceError } from '../errors.ts';
import type { MessageAttributes } from './message-checksum.ts';

export interface QueueSettings {
  readonly name: string;
  readonly arn: string;
  readonly visibilityTimeoutMs: number;
  readonly retentionMs: number;
  readonly delayMs: number;
  readonly waitMs: number;
  readonly maximumBytes: number;
  readonly redrive: { readonly deadLetterArn: string; readonly maxReceiveCount: number } | undefined;
}

export interface ReceivedMessage {
  readonly id: string;
  readonly receipt: string;
  readonly body: string;
  readonly attributes: MessageAttributes;
  readonly sentAt: number;
  readonly firstReceivedAt: number;
  readonly receiveCount: number;
}

const schema = `CREATE TABLE IF NOT EXISTS messages (
  id TEXT PRIMARY KEY, queue TEXT NOT NULL, body TEXT NOT NULL, attributes TEXT NOT NULL,
  sent_at INTEGER NOT NULL, visible_at INTEGER NOT NULL, receive_count INTEGER NOT NULL DEFAULT 0,
  first_received_at INTEGER, receipt TEXT
) STRICT;
CREATE INDEX IF NOT EXISTS messages_by_visibility ON messages (queue, visible_at);
CREATE INDEX IF NOT EXISTS messages_by_age ON messages (queue, sent_at);
CREATE INDEX IF NOT EXISTS messages_by_receipt ON messages (receipt)`;

export class QueueStore {
  readonly #clock: Clock;
  readonly #newId: () => string;
  readonly #chaos: Chaos;
  readonly #database: DatabaseSync;
  readonly #queues = new Map<string, QueueSettings>();
  readonly #waiting = new Map<string, Set<() => void>>();
  readonly #insert: StatementSync;
  readonly #visible: StatementSync;
  readonly #take: StatementSync;

  constructor(file: string, deps: { clock: Clock; newId: () => string; chaos: Chaos }) {
    this.#clock = deps.clock;
    this.#newId = deps.newId;
    this.#chaos = deps.chaos;
    this.#database = openDatabase(file, schema);
    this.#insert = this.#database.prepare(
      'INSERT INTO messages (id, queue, body, attributes, sent_at, visible_at) VALUES (?, ?, ?, ?, ?, ?)',
    );
    this.#visible = this.#database.prepare(
      'SELECT * FROM messages WHERE queue = ? AND visible_at <= ? ORDER BY visible_at, sent_at LIMIT ?',
    );
    this.#take = this.#database.prepare(
      `UPDATE messages SET visible_at = ?, receipt = ?, receive_count = receive_count + 1,
       first_received_at = coalesce(first_received_at, ?) WHERE id = ?`,
    );
  }

  add(settings: QueueSettings): void {
    this.#queues.set(settings.name, settings);
  }

  names(): string[] {
    return [...this.#queues.keys()];
  }

  /** @throws ServiceError `QueueDoesNotExist`. */
  queue(name: string): QueueSettings {
    const settings = this.#queues.get(name);
    if (settings === undefined) {
      throw new ServiceError('QueueDoesNotExist', 'The specified queue does not exist.');
    }
    return settings;
  }

  /** @throws ServiceError */
  queueByArn(arn: string): QueueSettings {
    return this.queue(arn.split(':').at(-1) ?? '');
  }

  /** Durable when this returns. @returns the message's id. */
  send(name: string, body: string, attributes: MessageAttributes = {}, delayMs?: number): string {
    const settings = this.queue(name);
    if (body === '')
      throw new ServiceError('MissingParameter', 'The request must contain the parameter MessageBody.');
    if (Buffer.byteLength(body) > settings.maximumBytes) {
      const message = `One or more parameters are invalid. Reason: Message must be shorter than ${settings.maximumBytes} bytes.`;
      throw new ServiceError('InvalidParameterValue', message);
    }
    const id = this.#newId();
    const now = this.#clock.now();
    const visibleAt = now + (delayMs ?? settings.delayMs);
    this.#insert.run(id, name, body, JSON.stringify(attributes), now, visibleAt);
    this.#wake(name);
    return id;
  }

  /** Up to `limit` messages, without waiting. */
  receive(name: string, limit: number, visibilityTimeoutMs?: number): ReceivedMessage[] {
    const settings = this.queue(name);
    const now = this.#clock.now();
    const hiddenUntil = now + (visibilityTimeoutMs ?? settings.visibilityTimeoutMs);
    return transaction(this.#database, () => {
      this.#expire(settings, now);
      return this.#visible.all(name, now, limit).flatMap((row) => {
        const id = String(row.id);
        if (settings.redrive !== undefined && Number(row.receive_count) >= settings.redrive.maxReceiveCount) {
          this.#move(id, settings.redrive.deadLetterArn, now);
          return [];
        }
        const receipt = this.#newId();
        // Simulates at-least-once delivery: the message stays visible although it was received.
        const again = Number(row.receive_count) === 0 && this.#chaos.duplicates();
        this.#take.run(again ? now : hiddenUntil, receipt, now, id);
        return [
          {
            id,
            receipt,
            body: String(row.body),
            attributes: JSON.parse(String(row.attributes)) as MessageAttributes,
            sentAt: Number(row.sent_at),
            firstReceivedAt: Number(row.first_received_at ?? now),
            receiveCount: Number(row.receive_count) + 1,
          },
        ];
      });
    });
  }

  /** Like `receive`, but waits up to `waitMs` for the first message. */
  async receiveWaiting(
    name: string,
    limit: number,
    waitMs: number,
    visibilityTimeoutMs?: number,
    signal?: AbortSignal,
  ) {
    const deadline = this.#clock.now() + waitMs;
    for (;;) {
      const messages = this.receive(name, limit, visibilityTimeoutMs);
      const left = deadline - this.#clock.now();
      if (messages.length > 0 || left <= 0 || signal?.aborted) return messages;
      await this.#sleep(name, Math.min(left, this.#nextVisibleIn(name)), signal);
    }
  }

  /** An outdated receipt deletes nothing and is not an error, as in SQS. */
  delete(name: string, receipt: string): void {
    this.queue(name);
    this.#database.prepare('DELETE FROM messages WHERE queue = ? AND receipt = ?').run(name, receipt);
  }

  changeVisibility(name: string, receipt: string, visibilityTimeoutMs: number): void {
    this.queue(name);
    this.#database
      .prepare('UPDATE messages SET visible_at = ? WHERE queue = ? AND receipt = ?')
      .run(this.#clock.now() + visibilityTimeoutMs, name, receipt);
    this.#wake(name);
  }

  purge(name: string): void {
    this.queue(name);
    this.#database.prepare('DELETE FROM messages WHERE queue = ?').run(name);
  }

  counts(name: string): { visible: number; inFlight: number; delayed: number } {
    const settings = this.queue(name);
    const now = this.#clock.now();
    this.#expire(settings, now);
    const row = this.#database
      .prepare(
        `SELECT coalesce(sum(visible_at <= ?), 0) AS visible,
         coalesce(sum(visible_at > ? AND receive_count > 0), 0) AS in_flight, count(*) AS total
         FROM messages WHERE queue = ?`,
      )
      .get(now, now, name);
    const [visible, inFlight, total] = [Number(row?.visible), Number(row?.in_flight), Number(row?.total)];
    return { visible, inFlight, delayed: total - visible - inFlight };
  }

  close(): void {
    for (const waiters of this.#waiting.values()) for (const wake of [...waiters]) wake();
    if (this.#database.isOpen) this.#database.close();
  }

  #expire(settings: QueueSettings, now: number): void {
    this.#database
      .prepare('DELETE FROM messages WHERE queue = ? AND sent_at < ?')
      .run(settings.name, now - settings.retentionMs);
  }

  #move(id: string, deadLetterArn: string, now: number): void {
    const { name } = this.queueByArn(deadLetterArn);
    this.#database
      .prepare(
        'UPDATE messages SET queue = ?, visible_at = ?, receive_count = 0, receipt = NULL WHERE id = ?',
      )
      .run(name, now, id);
    this.#wake(name);
  }

  #nextVisibleIn(name: string): number {
    const row = this.#database
      .prepare('SELECT min(visible_at) AS at FROM messages WHERE queue = ?')
      .get(name);
    return row?.at == null ? Number.POSITIVE_INFINITY : Math.max(1, Number(row.at) - this.#clock.now());
  }

  #sleep(name: string, ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const waiters = this.#waiting.get(name) ?? new Set();
      this.#waiting.set(name, waiters);
      const wake = () => {
        cancel();
        waiters.delete(wake);
        signal?.removeEventListener('abort', wake);
        resolve();
      };
      const cancel = this.#clock.after(ms, wake);
      waiters.add(wake);
      signal?.addEventListener('abort', wake, { once: true });
    });
  }

  #wake(name: string): void {
    for (const wake of [...(this.#waiting.get(name) ?? [])]) wake();
  }
}
