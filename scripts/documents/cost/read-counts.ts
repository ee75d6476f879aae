import { readFileSync } from 'node:fs';
import type { Counts, IdleCounts } from './cost.ts';

type Row = readonly [
  writeUnits: number,
  readUnits: number,
  functions: number,
  transitions: number,
  messages: number,
  events: number,
];
type Rows = Readonly<Record<string, Row>>;

const read = (name: string): unknown =>
  JSON.parse(readFileSync(new URL(`../../../bench/${name}.json`, import.meta.url), 'utf8'));

const countsOf = (
  [writeUnits, readUnits, functions, transitions, messages, events]: Row,
  httpRequests: number,
): Counts => ({ writeUnits, readUnits, functions, transitions, messages, events, httpRequests });

const mapRows = (rows: Rows, httpRequests: number): Readonly<Record<string, Counts>> =>
  Object.fromEntries(Object.entries(rows).map(([name, row]) => [name, countsOf(row, httpRequests)]));

/** Runtime type → operation → its counts. Each operation begins with one request. */
export const readOperationCounts = (): Readonly<Record<string, Readonly<Record<string, Counts>>>> =>
  Object.fromEntries(
    Object.entries(read('counts') as Readonly<Record<string, Rows>>).map(([type, rows]) => [
      type,
      mapRows(rows, 1),
    ]),
  );

/** What creates with start of one tenant have in common. */
export interface LoadCounts {
  /** Messages of the host, other than heartbeats. */
  readonly hostMessages: number;
  /** Partition → write units. */
  readonly partitions: Readonly<Record<string, number>>;
}

/** Runtime type → counts of one create with start. */
export const readLoadCounts = (): Readonly<Record<string, LoadCounts>> =>
  read('load-counts') as Readonly<Record<string, LoadCounts>>;

export const readIdleCounts = (): IdleCounts => {
  const rows = read('idle-counts') as Readonly<Record<keyof IdleCounts, Row>>;
  const counts = (name: keyof IdleCounts) => countsOf(rows[name], 0);
  return {
    heartbeat: counts('heartbeat'),
    reconnect: counts('reconnect'),
    lease: counts('lease'),
    sweep: counts('sweep'),
    tenant: counts('tenant'),
  };
};
