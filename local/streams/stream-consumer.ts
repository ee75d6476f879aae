/**
 * One event source mapping on one stream: finds the shards, and polls them.
 *
 * Polling: at once after a write (if the source reports writes), a few times in the following milliseconds (the kernel
 * reports a write just before readers can see it), with short pauses while records arrive, and otherwise rarely. The
 * shards are listed rarely, because an endpoint may read the whole stream for it.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { StreamSource } from '../dynamodb/dynamodb-engine.ts';
import type { Clock, InvocationResult, Log } from '../engine.ts';
import { asRecord, asString, type JsonObject } from '../template/json.ts';
import type { Checkpoints } from './checkpoints.ts';
import type { BatchDeps } from './deliver-batch.ts';
import type { MappingSettings } from './mapping-settings.ts';
import { ShardConsumer } from './shard-consumer.ts';
import { readStreamRecord, type StreamRecord } from './stream-record.ts';

export interface StreamConsumerDeps {
  readonly settings: MappingSettings;
  readonly source: StreamSource;
  readonly checkpoints: Checkpoints;
  readonly clock: Clock;
  readonly log: Log;
  readonly region: string;
  readonly invoke: (payload: string) => Promise<InvocationResult>;
  readonly giveUp: (shardId: string, ...args: Parameters<BatchDeps['giveUp']>) => void;
  readonly repeats: () => boolean;
}

/** Pauses between empty polls after the last activity. */
const pausesWhenTold = [3, 50, 1_000] as const;
const pausesWhenPolling = [5, 10, 20, 40] as const;
/** Pause after records arrived: each poll then has more of them, for the same cost. */
const pauseWhileBusyMs = 50;
/** A shard that ends is noticed at once, and its children are listed then. */
const shardListsEveryMs = 30_000;
const failurePauseMs = 500;
/** AWS returns at most 1 MB; an endpoint without this limit would return hundreds for large items. */
const mostPerRead = 200;

interface Shard {
  readonly id: string;
  readonly parent: string | undefined;
}

export class StreamConsumer {
  readonly #deps: StreamConsumerDeps;
  readonly #shards = new Map<string, ShardConsumer>();
  readonly #finished = new Set<string>();
  readonly #stopping = new AbortController();
  #wake: () => void = () => {};
  /** A write was reported since the last poll started. */
  #told = false;
  #loop: Promise<void> = Promise.resolve();
  #unwatch: (() => void) | undefined;
  /** When the shards must be listed again, in milliseconds since 1970. */
  #listAt = 0;
  #table = '';
  #stream = '';

  constructor(deps: StreamConsumerDeps) {
    this.#deps = deps;
  }

  /** Determines the start position before any write is possible: LATEST is now. */
  async start(): Promise<void> {
    const { source, settings } = this.#deps;
    this.#table = source.tableOf(settings.streamArn) ?? '';
    const { Streams } = await source.client().call('Streams.ListStreams', { TableName: this.#table });
    const [stream] = Array.isArray(Streams) ? Streams.map(asRecord) : [];
    this.#stream = asString(stream?.StreamArn) ?? '';
    await this.#markBeginning();
  }

  activate(): void {
    this.#unwatch = this.#deps.source.watch(() => {
      this.#told = true;
      this.#wake();
    });
    this.#loop = this.#poll();
  }

  /** Resolves when no batch is in progress. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#unwatch?.();
    this.#wake();
    await this.#loop;
    await Promise.all([...this.#shards.values()].map((shard) => shard.stop()));
  }

  get #stopped(): boolean {
    return this.#stopping.signal.aborted;
  }

  async #poll(): Promise<void> {
    const pauses: readonly number[] = this.#unwatch === undefined ? pausesWhenPolling : pausesWhenTold;
    let quiet = 0;
    while (!this.#stopped) {
      try {
        const found = await this.#pollShards();
        quiet = found ? 0 : quiet + 1;
        if (found) await this.#pause(pauseWhileBusyMs);
      } catch (error) {
        if (this.#stopped) return;
        this.#deps.log.warn('reading a stream failed', { table: this.#table, error: String(error) });
        await this.#idle(failurePauseMs);
        continue;
      }
      if (quiet > 0 && (await this.#idle(pauses[Math.min(quiet, pauses.length) - 1] ?? 0))) quiet = 0;
    }
  }

  /** @returns whether there were records. */
  async #pollShards(): Promise<boolean> {
    const now = this.#deps.clock.now();
    if (now >= this.#listAt || this.#shards.size === 0) {
      await this.#openShards();
      this.#listAt = now + shardListsEveryMs;
    }
    this.#told = false;
    const counts = await Promise.all([...this.#shards.values()].map((shard) => shard.poll()));
    if (this.#forgetFinished()) this.#listAt = 0;
    return counts.some((count) => count > 0);
  }

  /** @returns whether a shard ended, so that its children must be listed. */
  #forgetFinished(): boolean {
    const finished = [...this.#shards].filter(([, shard]) => shard.finished);
    for (const [id] of finished) {
      this.#shards.delete(id);
      this.#finished.add(id);
    }
    return finished.length > 0;
  }

  /** @returns whether a write ended the pause. */
  async #idle(ms: number): Promise<boolean> {
    if (this.#told || this.#stopped) return true;
    let woken = false;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        woken = true;
        resolve();
      };
    });
    this.#wake = () => {};
    return woken;
  }

  async #listShards(): Promise<Shard[]> {
    const shards: Shard[] = [];
    let from: string | undefined;
    do {
      const answer = await this.#deps.source.client().call('Streams.DescribeStream', {
        StreamArn: this.#stream,
        ...(from !== undefined && { ExclusiveStartShardId: from }),
      });
      const description = asRecord(answer.StreamDescription);
      const listed = Array.isArray(description.Shards) ? description.Shards.map(asRecord) : [];
      shards.push(...listed.map((one) => ({ id: String(one.ShardId), parent: asString(one.ParentShardId) })));
      from = asString(description.LastEvaluatedShardId);
    } while (from !== undefined);
    return shards;
  }

  async #markBeginning(): Promise<void> {
    const { checkpoints, settings } = this.#deps;
    if (checkpoints.knows(settings.id, this.#stream)) return;
    for (const { id } of await this.#listShards()) {
      const position = settings.fromStart ? '' : await this.#lastPosition(id);
      checkpoints.write(settings.id, this.#stream, id, position);
    }
    // A stream without a record may have no shard yet. It is then read from its start.
    checkpoints.write(settings.id, this.#stream, '', '');
  }

  async #lastPosition(shardId: string): Promise<string> {
    let iterator = await this.#iterator(shardId, '');
    for (let last = ''; ; ) {
      const { records, next } = await this.#getRecords(iterator);
      last = records.at(-1)?.position ?? last;
      if (records.length === 0 || next === undefined) return last;
      iterator = next;
    }
  }

  async #openShards(): Promise<void> {
    const listed = await this.#listShards();
    const listedIds = new Set(listed.map((shard) => shard.id));
    for (const { id, parent } of listed) {
      const parentDone = parent === undefined || !listedIds.has(parent) || this.#finished.has(parent);
      if (!this.#shards.has(id) && !this.#finished.has(id) && parentDone)
        this.#shards.set(id, this.#consumer(id));
    }
  }

  #consumer(shardId: string): ShardConsumer {
    const { settings, checkpoints, clock, invoke, giveUp, repeats } = this.#deps;
    let iterator: string | undefined;
    return new ShardConsumer({
      ...{ settings, clock, invoke, repeats },
      giveUp: (...args) => giveUp(shardId, ...args),
      checkpoint: (position) => checkpoints.write(settings.id, this.#stream, shardId, position),
      pause: (ms) => this.#pause(ms),
      read: async () => {
        const from =
          iterator ??
          (await this.#iterator(shardId, checkpoints.read(settings.id, this.#stream, shardId) ?? ''));
        const { records, next } = await this.#getRecords(from);
        iterator = next;
        return { records, ended: next === undefined };
      },
    });
  }

  /** The wait of retries, which ends at once at shutdown. */
  async #pause(ms: number): Promise<boolean> {
    try {
      await sleep(ms, undefined, { signal: this.#stopping.signal });
      return true;
    } catch {
      return false;
    }
  }

  async #iterator(shardId: string, after: string): Promise<string> {
    const answer = await this.#deps.source.client().call('Streams.GetShardIterator', {
      StreamArn: this.#stream,
      ShardId: shardId,
      ...(after === ''
        ? { ShardIteratorType: 'TRIM_HORIZON' }
        : { ShardIteratorType: 'AFTER_SEQUENCE_NUMBER', SequenceNumber: after }),
    });
    return String(answer.ShardIterator);
  }

  async #getRecords(iterator: string): Promise<{ records: StreamRecord[]; next: string | undefined }> {
    const { settings, region, source } = this.#deps;
    const answer = await source
      .client()
      .call('Streams.GetRecords', { ShardIterator: iterator, Limit: mostPerRead });
    const raw: JsonObject[] = Array.isArray(answer.Records) ? answer.Records.map(asRecord) : [];
    const origin = { streamArn: settings.streamArn, realStream: this.#stream, region };
    return {
      records: raw.map((record) => readStreamRecord(record, origin)),
      next: asString(answer.NextShardIterator),
    };
  }
}
