/**
 * Reads one shard for one mapping and runs its lanes.
 *
 * Order: the records of an item go through one lane, batch after batch. Checkpoint: the record before the oldest unfinished
 * one, so that a kill repeats records and never skips one.
 */
import { createHash } from 'node:crypto';
import { type BatchDeps, deliverBatch } from './deliver-batch.ts';
import type { MappingSettings } from './mapping-settings.ts';
import type { StreamRecord } from './stream-record.ts';

export interface ShardDeps extends Omit<BatchDeps, 'done'> {
  /** @returns records after the position, oldest first, and whether the shard is closed and completely read. */
  readonly read: () => Promise<{ records: StreamRecord[]; ended: boolean }>;
  readonly checkpoint: (position: string) => void;
}

/** Lambda accepts 6 MB per invocation, including the envelope around the records. */
const largestBatchBytes = 6 * 1024 * 1024 - 1024;

/** Number of records from the front that fit into one invocation; at least one. */
const fitting = (queue: readonly StreamRecord[]): number => {
  let size = 0;
  const tooMany = queue.findIndex((record) => {
    size += Buffer.byteLength(JSON.stringify(record.event)) + 1;
    return size > largestBatchBytes;
  });
  return tooMany === -1 ? queue.length : Math.max(1, tooMany);
};

interface Pending {
  readonly record: StreamRecord;
  done: boolean;
}

/** Reading pauses while this many records wait. */
const mostWaiting = 2_000;

export class ShardConsumer {
  readonly #settings: MappingSettings;
  readonly #deps: ShardDeps;
  readonly #order: Pending[] = [];
  readonly #bySequence = new Map<string, Pending>();
  readonly #lanes: { queue: StreamRecord[]; running: Promise<void> | undefined }[];
  #read = false;
  #stopped = false;

  constructor(deps: ShardDeps) {
    this.#deps = deps;
    this.#settings = deps.settings;
    this.#lanes = Array.from({ length: deps.settings.lanes }, () => ({ queue: [], running: undefined }));
  }

  /** The shard is closed and all of its records are completed, so its children can start. */
  get finished(): boolean {
    return this.#read && this.#order.length === 0;
  }

  /** Reads once. @returns the number of records. */
  async poll(): Promise<number> {
    if (this.#stopped || this.#read || this.#order.length >= mostWaiting) return 0;
    const { records, ended } = await this.#deps.read();
    for (const record of records) {
      const pending = { record, done: !this.#settings.wants(record.event) };
      this.#order.push(pending);
      this.#bySequence.set(record.sequenceNumber, pending);
      if (!pending.done) this.#laneOf(record).queue.push(record);
    }
    this.#read = ended;
    this.#advance();
    for (const lane of this.#lanes) this.#run(lane);
    return records.length;
  }

  /** Resolves when no batch is in progress. No new one is started. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#lanes.map((lane) => lane.running));
  }

  #laneOf(record: StreamRecord) {
    const hash = createHash('md5').update(record.itemKey).digest().readUInt32BE(0);
    const lane = this.#lanes[hash % this.#lanes.length] ?? this.#lanes[0];
    if (lane === undefined) throw new RangeError('a mapping must have at least one lane');
    return lane;
  }

  #run(lane: { queue: StreamRecord[]; running: Promise<void> | undefined }): void {
    if (lane.running !== undefined || lane.queue.length === 0 || this.#stopped) return;
    lane.running = this.#work(lane.queue).finally(() => {
      lane.running = undefined;
      this.#run(lane);
    });
  }

  async #work(queue: StreamRecord[]): Promise<void> {
    const { batchSize, windowMs } = this.#settings;
    const begun = this.#deps.clock.now();
    while (windowMs > 0 && queue.length < batchSize && !this.#stopped) {
      const left = begun + windowMs - this.#deps.clock.now();
      if (left <= 0 || !(await this.#deps.pause(Math.min(left, 50)))) break;
    }
    if (this.#stopped) return;
    const batch = queue.splice(0, fitting(queue.slice(0, batchSize)));
    await deliverBatch(batch, { ...this.#deps, done: (records) => this.#finish(records) });
  }

  #finish(records: readonly StreamRecord[]): void {
    for (const { sequenceNumber } of records) {
      const pending = this.#bySequence.get(sequenceNumber);
      if (pending !== undefined) pending.done = true;
    }
    this.#advance();
  }

  #advance(): void {
    const firstOpen = this.#order.findIndex((pending) => !pending.done);
    const finished = this.#order.splice(0, firstOpen === -1 ? this.#order.length : firstOpen);
    for (const { record } of finished) this.#bySequence.delete(record.sequenceNumber);
    const last = finished.at(-1);
    if (last !== undefined) this.#deps.checkpoint(last.record.position);
  }
}
