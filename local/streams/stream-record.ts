/** Converts records from the stream's endpoint to the format of Lambda events. */
import { createHash } from 'node:crypto';
import { asRecord, asString, type Json, type JsonObject } from '../template/json.ts';

export interface StreamRecord {
  /** The endpoint's sequence number, for the next read. */
  readonly position: string;
  /** For functions: at least 21 digits, so that text and number sort alike, as AWS's do in practice. */
  readonly sequenceNumber: string;
  /** Identical for all records of one item. */
  readonly itemKey: string;
  /** Milliseconds since 1970. */
  readonly createdAt: number;
  /** The record in a function's event. */
  readonly event: JsonObject;
}

const shortestSequenceNumber = 21;

/** Pads local sequence numbers, which count from 1, to AWS's length. */
const lengthened = (position: string): string =>
  position.length >= shortestSequenceNumber
    ? position
    : `1${position.padStart(shortestSequenceNumber - 1, '0')}`;

/** dynoxide spells the expiry marker in the wrong case; functions get the form that Lambda documents. */
const userIdentity = (value: Json | undefined): JsonObject => {
  if (value === undefined || value === null) return {};
  const { type, Type, principalId, PrincipalId } = asRecord(value);
  return { userIdentity: { type: type ?? Type ?? '', principalId: principalId ?? PrincipalId ?? '' } };
};

export const readStreamRecord = (
  raw: JsonObject,
  source: { readonly streamArn: string; readonly realStream: string; readonly region: string },
): StreamRecord => {
  const data = asRecord(raw.dynamodb);
  const position = asString(data.SequenceNumber) ?? '';
  const sequenceNumber = lengthened(position);
  const seconds = Number(data.ApproximateCreationDateTime ?? 0);
  return {
    position,
    sequenceNumber,
    itemKey: JSON.stringify(data.Keys ?? null),
    createdAt: seconds * 1000,
    event: {
      // Endpoints may number event ids per table. This makes them unique and stable across deliveries.
      eventID: createHash('md5').update(`${source.realStream}/${position}`).digest('hex'),
      eventName: raw.eventName ?? '',
      eventVersion: '1.1',
      eventSource: 'aws:dynamodb',
      awsRegion: source.region,
      dynamodb: { ...data, SequenceNumber: sequenceNumber },
      ...userIdentity(raw.userIdentity),
      eventSourceARN: source.streamArn,
    },
  };
};
