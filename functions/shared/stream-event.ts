import type { AttributeValue } from '@aws-sdk/client-dynamodb';
import * as z from 'zod/mini';
import type { Item } from '../../store/item.ts';
import { isUnreadable } from '../../store/item-format.ts';

/** In the JSON of a stream record, bytes are in base64. */
const revive = (value: unknown): unknown => {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(revive);
  if ('B' in value && typeof value.B === 'string')
    return { B: new Uint8Array(Buffer.from(value.B, 'base64')) };
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, revive(member)]));
};

const ImageSchema = z.pipe(
  z.record(
    z.string(),
    z.custom<AttributeValue>((value) => typeof value === 'object'),
  ),
  z.transform((item): Item => revive(item) as Item),
);

const RecordSchema = z.object({
  eventName: z.enum(['INSERT', 'MODIFY', 'REMOVE']),
  dynamodb: z.object({
    SequenceNumber: z.string(),
    /** Seconds since 1970. */
    ApproximateCreationDateTime: z.number(),
    NewImage: z.optional(ImageSchema),
    OldImage: z.optional(ImageSchema),
  }),
});

export interface ChangeRecord {
  readonly sequenceNumber: string;
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly before: Item | undefined;
  readonly after: Item | undefined;
}

/** The response to Lambda: only these records are delivered again. */
export interface BatchAnswer {
  readonly batchItemFailures: { readonly itemIdentifier: string }[];
}

const sequenceOf = (record: unknown): string | undefined => {
  const sequence = (record as { dynamodb?: { SequenceNumber?: unknown } } | null)?.dynamodb?.SequenceNumber;
  return typeof sequence === 'string' ? sequence : undefined;
};

const itemOf = (record: unknown): string =>
  JSON.stringify((record as { dynamodb?: { Keys?: unknown } } | null)?.dynamodb?.Keys ?? null);

/** @throws z.core.$ZodError if it is not a record of a table's stream */
const parseChange = (record: unknown): ChangeRecord => {
  const { dynamodb } = RecordSchema.parse(record);
  // Engines differ in seconds and milliseconds; anything past the year 5000 in seconds is milliseconds.
  const created = dynamodb.ApproximateCreationDateTime;
  return {
    sequenceNumber: dynamodb.SequenceNumber,
    at: created < 1e11 ? Math.round(created * 1000) : Math.round(created),
    before: dynamodb.OldImage,
    after: dynamodb.NewImage,
  };
};

const CONCURRENT_ITEMS = 16;

/**
 * Processes the records of a stream: those of one item in order, those of different items concurrently. A failed record
 * is reported, with every later one of the same item. Lambda delivers again from the first failed record, so `work`
 * must be idempotent.
 *
 * A record with an item that cannot be read is skipped: it would fail on every delivery and block its shard.
 */
export const eachRecord = async (
  event: unknown,
  work: (change: ChangeRecord) => Promise<void>,
  onFailure: (sequenceNumber: string, error: unknown) => void,
): Promise<BatchAnswer> => {
  const records = (event as { Records?: readonly unknown[] }).Records ?? [];
  const failed = new Set<unknown>();
  const processItem = async (changes: readonly unknown[]): Promise<void> => {
    for (const [at, record] of changes.entries())
      try {
        await work(parseChange(record));
      } catch (error) {
        onFailure(sequenceOf(record) ?? '', error);
        if (isUnreadable(error)) continue;
        for (const later of changes.slice(at)) failed.add(later);
        return;
      }
  };
  const items = Map.groupBy(records, itemOf).values();
  await Promise.all(
    Array.from({ length: CONCURRENT_ITEMS }, async () => {
      // The iterator is shared, so each list is processed once.
      for (const changes of items) await processItem(changes);
    }),
  );
  return {
    batchItemFailures: records
      .filter((record) => failed.has(record))
      .map((record) => ({ itemIdentifier: sequenceOf(record) ?? '' })),
  };
};
