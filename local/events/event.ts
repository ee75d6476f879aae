/** Events in transit, and the checks of PutEvents. */
import { ServiceError } from '../errors.ts';
import { asRecord, asString, isJsonObject, type Json, type JsonObject } from '../template/json.ts';

export interface BusEvent {
  readonly version: '0';
  readonly id: string;
  readonly 'detail-type': string;
  readonly source: string;
  readonly account: string;
  /** ISO 8601 in whole seconds. */
  readonly time: string;
  readonly region: string;
  readonly resources: readonly string[];
  readonly detail: JsonObject;
}

/** Maximum size of a PutEvents request in bytes, and maximum number of entries (EventBridge quotas). */
const largestRequest = 256 * 1024;
const mostEntries = 10;

export const isoSeconds = (ms: number): string => `${new Date(ms).toISOString().slice(0, 19)}Z`;

/** `default`, `name` or the name in an ARN. */
export const busNameOf = (reference: string | undefined): string => reference?.split('/').at(-1) ?? 'default';

/** The size as EventBridge counts it: source, detail type, detail, resources, and 14 for a time. */
const entrySize = (entry: JsonObject): number =>
  [entry.Source, entry.DetailType, entry.Detail, ...(Array.isArray(entry.Resources) ? entry.Resources : [])]
    .map((part) => Buffer.byteLength(asString(part) ?? ''))
    .reduce((sum, size) => sum + size, entry.Time === undefined ? 0 : 14);

/** @throws ServiceError `ValidationException` for errors of the whole request. */
export const readEntries = (input: JsonObject): JsonObject[] => {
  const entries = Array.isArray(input.Entries) ? input.Entries.map(asRecord) : [];
  if (entries.length === 0 || entries.length > mostEntries) {
    throw new ServiceError(
      'ValidationException',
      `1 validation error detected: Value at 'entries' failed to satisfy constraint: Member must have length between 1 and ${mostEntries}`,
    );
  }
  if (entries.reduce((sum, entry) => sum + entrySize(entry), 0) > largestRequest) {
    throw new ServiceError(
      'ValidationException',
      'Total size of the entries in the request is over the limit.',
    );
  }
  return entries;
};

const parseDetail = (text: string): JsonObject | undefined => {
  try {
    const detail = JSON.parse(text) as Json;
    return isJsonObject(detail) ? detail : undefined;
  } catch {
    return undefined;
  }
};

const timeOf = (value: Json | undefined, now: number): string => {
  // Seconds in the JSON protocol.
  const ms = typeof value === 'number' ? value * 1000 : Date.parse(asString(value) ?? '');
  return isoSeconds(Number.isFinite(ms) ? ms : now);
};

/** @throws ServiceError with the code and message for this entry alone. */
export const readEntry = (
  entry: JsonObject,
  deps: { now: number; id: string; account: string; region: string },
): BusEvent => {
  const source = asString(entry.Source) ?? '';
  const detailType = asString(entry.DetailType) ?? '';
  const detailText = asString(entry.Detail) ?? '';
  for (const [name, value] of Object.entries({
    Source: source,
    DetailType: detailType,
    Detail: detailText,
  })) {
    if (value === '') {
      throw new ServiceError(
        'InvalidArgument',
        `Parameter ${name} is not valid. Reason: ${name} is a required argument.`,
      );
    }
  }
  if (source.startsWith('aws.')) {
    throw new ServiceError('NotAuthorizedForSourceException', 'Not authorized for the source.');
  }
  const detail = parseDetail(detailText);
  if (detail === undefined) throw new ServiceError('MalformedDetail', 'Detail is malformed.');
  return {
    version: '0',
    id: deps.id,
    'detail-type': detailType,
    source,
    account: deps.account,
    time: timeOf(entry.Time, deps.now),
    region: deps.region,
    resources: Array.isArray(entry.Resources) ? entry.Resources.map(String) : [],
    detail,
  };
};
