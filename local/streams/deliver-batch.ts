/**
 * Delivers one batch of stream records to a function until each record is processed or discarded.
 *
 * Rules (Lambda Developer Guide, "Process DynamoDB records with Lambda"; "Configuring partial batch response"):
 * - An error fails the whole batch. With bisecting, a batch of several records is halved, which does not count as a retry. Otherwise it is
 *   retried up to MaximumRetryAttempts, then sent to the on-failure destination.
 * - Records older than MaximumRecordAgeInSeconds are discarded.
 * - With ReportBatchItemFailures, everything before the lowest reported record is done, and the rest is
 *   retried. A report that names an unknown record fails the whole batch.
 */
import type { Clock, InvocationResult } from '../engine.ts';
import { asRecord, asString, type Json } from '../template/json.ts';
import type { MappingSettings } from './mapping-settings.ts';
import type { StreamRecord } from './stream-record.ts';

export type GiveUpReason = 'RetryAttemptsExhausted' | 'RecordAgeExceeded';

export interface BatchDeps {
  readonly settings: MappingSettings;
  readonly clock: Clock;
  readonly invoke: (payload: string) => Promise<InvocationResult>;
  /** Completed records, in order, for the checkpoint. */
  readonly done: (records: readonly StreamRecord[]) => void;
  readonly giveUp: (
    records: readonly StreamRecord[],
    reason: GiveUpReason,
    attempts: number,
    result: InvocationResult | undefined,
  ) => void;
  /** Resolves to true after the pause, or to false at shutdown. */
  readonly pause: (ms: number) => Promise<boolean>;
  /** Whether chaos delivers a successful batch again. */
  readonly repeats: () => boolean;
}

const firstRetryMs = 50;
const longestRetryMs = 10_000;

/** How many records from the start are processed: all, none, or those before the lowest reported one. */
const processedCount = (
  records: readonly StreamRecord[],
  result: InvocationResult,
  reports: boolean,
): number => {
  if (result.functionError !== undefined) return 0;
  if (!reports) return records.length;
  const failures = asRecord(JSON.parse(result.payload) as Json).batchItemFailures;
  if (failures === undefined || failures === null) return records.length;
  if (!Array.isArray(failures)) return 0;
  const positions = failures.map((failure) => {
    const identifier = asString(asRecord(failure).itemIdentifier) ?? '';
    return records.findIndex((record) => record.sequenceNumber === identifier);
  });
  // An unknown identifier is -1 here, and fails the whole batch.
  return Math.max(0, Math.min(records.length, ...positions));
};

const splitExpired = (records: readonly StreamRecord[], { settings, clock }: BatchDeps) => {
  if (settings.maxAgeMs < 0) return { expired: [], fresh: records };
  const oldest = clock.now() - settings.maxAgeMs;
  const first = records.findIndex((record) => record.createdAt >= oldest);
  const count = first === -1 ? records.length : first;
  return { expired: records.slice(0, count), fresh: records.slice(count) };
};

/** @returns whether all are completed; false at shutdown, after which the rest is delivered again. */
export const deliverBatch = async (
  records: readonly StreamRecord[],
  deps: BatchDeps,
  retries = 0,
): Promise<boolean> => {
  const { settings } = deps;
  let left = records;
  let last: InvocationResult | undefined;
  for (let retry = retries; ; ) {
    const { expired, fresh } = splitExpired(left, deps);
    if (expired.length > 0) {
      deps.giveUp(expired, 'RecordAgeExceeded', retry, last);
      deps.done(expired);
    }
    if (fresh.length === 0) return true;
    const payload = JSON.stringify({ Records: fresh.map((record) => record.event) });
    last = await deps.invoke(payload);
    const processed = processedCount(fresh, last, settings.reportsItemFailures);
    if (processed > 0 && deps.repeats()) await deps.invoke(payload);
    deps.done(fresh.slice(0, processed));
    left = fresh.slice(processed);
    if (left.length === 0) return true;
    if (settings.bisects && processed === 0 && left.length > 1) return deliverHalves(left, deps, retry);
    retry += 1;
    if (settings.maxRetries >= 0 && retry > settings.maxRetries) {
      deps.giveUp(left, 'RetryAttemptsExhausted', retry, last);
      deps.done(left);
      return true;
    }
    if (!(await deps.pause(Math.min(longestRetryMs, firstRetryMs * 2 ** Math.min(retry - 1, 20)))))
      return false;
  }
};

const deliverHalves = async (
  records: readonly StreamRecord[],
  deps: BatchDeps,
  retries: number,
): Promise<boolean> => {
  if (!(await deps.pause(firstRetryMs))) return false;
  const middle = Math.ceil(records.length / 2);
  const first = await deliverBatch(records.slice(0, middle), deps, retries);
  return first && deliverBatch(records.slice(middle), deps, retries);
};
