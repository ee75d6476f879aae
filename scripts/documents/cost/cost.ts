import { PRICES } from './prices.ts';

/** What a piece of work takes on AWS. */
export interface Counts {
  readonly writeUnits: number;
  readonly readUnits: number;
  /** Invocations of functions. */
  readonly functions: number;
  /** States that executions entered. */
  readonly transitions: number;
  /** Messages over the WebSocket API, in both directions. */
  readonly messages: number;
  /** Events on the bus. */
  readonly events: number;
  readonly httpRequests: number;
}

/** An invocation that calls DynamoDB a few times, in seconds, and the memory of most functions, in GB. */
const INVOCATION_SECONDS = 0.05;
const MEMORY_GB = 0.25;

/** In USD. */
export const costOf = (counts: Counts): number =>
  counts.writeUnits * PRICES.writeUnit +
  counts.readUnits * PRICES.readUnit +
  counts.functions * (PRICES.invocation + INVOCATION_SECONDS * MEMORY_GB * PRICES.gigabyteSecond) +
  counts.transitions * PRICES.transition +
  counts.messages * PRICES.webSocketMessage +
  counts.events * PRICES.event +
  counts.httpRequests * PRICES.httpRequest;

const MINUTES_A_MONTH = 30 * 24 * 60;

/** A connected host without containers for a month, in USD: heartbeats, the connection, and its share of the sweep. */
export const idleHostCost = (heartbeatSeconds: number): number => {
  const heartbeat = costOf({
    ...{ writeUnits: 1, readUnits: 0.5, functions: 1, messages: 1 },
    ...{ transitions: 0, events: 0, httpRequests: 0 },
  });
  // Each sweep reads the host and its link.
  const minute = PRICES.connectionMinute + PRICES.readUnit;
  return MINUTES_A_MONTH * ((heartbeat * 60) / heartbeatSeconds + minute);
};
