import {
  type EventBridgeClient,
  PutEventsCommand,
  type PutEventsRequestEntry,
} from '@aws-sdk/client-eventbridge';
import { EVENT_SOURCE, type Event } from '../../core/contract/event.ts';
import { TooBusyError } from '../../core/domain/errors.ts';

interface PublishedEvent {
  readonly tenant: string;
  readonly event: Event;
}

/** Puts events on the bus. @returns those that the bus did not accept */
export type Publish = (records: readonly PublishedEvent[]) => Promise<readonly PublishedEvent[]>;

/** EventBridge's limits of one call. */
const ENTRIES = 10;
const BYTES = 256 * 1024;
/** Attempts for entries that the bus refused while it accepted others, within one delivery of the record. */
const TRIES = 3;
const WAIT_MS = 100;

const entryOf = (bus: string, { tenant, event }: PublishedEvent): PutEventsRequestEntry => ({
  EventBusName: bus,
  Source: EVENT_SOURCE,
  DetailType: event.type,
  Time: new Date(event.time),
  Detail: JSON.stringify({ tenant, ...event }),
});

const sizeOf = (entry: PutEventsRequestEntry): number =>
  14 + Buffer.byteLength(`${entry.Source}${entry.DetailType}${entry.Detail}`);

interface Sized {
  readonly record: PublishedEvent;
  readonly entry: PutEventsRequestEntry;
}

/** Groups that each fit into one call, in order. */
const inCalls = (all: readonly Sized[]): Sized[][] => {
  const calls: Sized[][] = [];
  let bytes = 0;
  for (const one of all) {
    const size = sizeOf(one.entry);
    const last = calls.at(-1);
    if (last === undefined || last.length === ENTRIES || bytes + size > BYTES) {
      calls.push([one]);
      bytes = size;
    } else {
      last.push(one);
      bytes += size;
    }
  }
  return calls;
};

export const createPublish = (
  client: EventBridgeClient,
  bus: string,
  sleep: (milliseconds: number) => Promise<void>,
): Publish => {
  const put = async (call: readonly Sized[]): Promise<readonly Sized[]> => {
    const { FailedEntryCount = 0, Entries = [] } = await client.send(
      new PutEventsCommand({ Entries: call.map(({ entry }) => entry) }),
    );
    if (FailedEntryCount === 0) return [];
    if (Entries.length !== call.length)
      throw new TooBusyError('The bus did not report which events it accepted.');
    return call.filter((_one, at) => Entries[at]?.ErrorCode !== undefined);
  };
  return async (records) => {
    let left = records.map((record): Sized => ({ record, entry: entryOf(bus, record) }));
    for (let tried = 0; tried < TRIES && left.length > 0; tried += 1) {
      if (tried > 0) await sleep(WAIT_MS * 2 ** tried);
      left = (await Promise.all(inCalls(left).map(put))).flat();
    }
    return left.map(({ record }) => record);
  };
};
