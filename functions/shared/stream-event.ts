import type { AttributeValue } from '@aws-sdk/client-dynamodb';
import * as z from 'zod/mini';
import type { Item } from '../../store/item.ts';
import { isUnreadable } from '../../store/item-format.ts';

const ImageSchema = z.record(
  z.string(),
  z.custom<AttributeValue>((value) => typeof value === 'object'),
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

/**
 * Processes the records of a stream in order. A failed record is reported, with every later one of the same item, so that
 * the changes of an item stay in order. Records of other items are still processed. Lambda delivers again from the first
 * failed record, so `work` must be idempotent.
 *
 * A record with an item that cannot be read is skipped: it would fail on every delivery and block its shard.
 */
export const eachRecord = async (
  event: unknown,
  work: (change: ChangeRecord) => Promise<void>,
  onFailure: (sequenceNumber: string, error: unknown) => void,
): Promise<BatchAnswer> => {
  const records = (event as { Records?: readonly unknown[] }).Records ?? [];
  const failed: string[] = [];
  const blocked = new Set<string>();
  for (const record of records) {
    const sequence = sequenceOf(record) ?? '';
    const item = itemOf(record);
    try {
      if (blocked.has(item)) failed.push(sequence);
      else await work(parseChange(record));
    } catch (error) {
      onFailure(sequence, error);
      if (isUnreadable(error)) continue;
      failed.push(sequence);
      blocked.add(item);
    }
  }
  return { batchItemFailures: failed.map((itemIdentifier) => ({ itemIdentifier })) };
};
