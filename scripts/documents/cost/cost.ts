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
export const INVOCATION_SECONDS = 0.05;
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

/** 730 hours, as AWS's price calculator counts a month. */
export const MINUTES_A_MONTH = 730 * 60;
/** API Gateway ends a WebSocket connection after two hours. */
const CONNECTION_MINUTES = 120;
/**
 * The function that welcomes a host reads both versions of the signing secret, at most every 15 minutes. With many hosts
 * most reconnections cost none.
 */
const SECRET_REQUESTS = 2;

/** Counts of `bench/idle-counts.json`. */
export interface IdleCounts {
  readonly heartbeat: Counts;
  /** The end of a connection, and the next one. */
  readonly reconnect: Counts;
  /** A read of a host's link by the sweep. */
  readonly lease: Counts;
  /** A sweep without hosts. */
  readonly sweep: Counts;
  /** What a sweep costs in addition for each tenant that has hosts. */
  readonly tenant: Counts;
}

export interface Lease {
  readonly heartbeatSeconds: number;
  readonly leaseSeconds: number;
}

/** A connected host without containers for a month, in USD, by what causes it. */
export const idleHostCosts = (counts: IdleCounts, { heartbeatSeconds, leaseSeconds }: Lease) => ({
  heartbeats: ((MINUTES_A_MONTH * 60) / heartbeatSeconds) * costOf(counts.heartbeat),
  connection: MINUTES_A_MONTH * PRICES.connectionMinute,
  reconnections:
    (MINUTES_A_MONTH / CONNECTION_MINUTES) *
    (costOf(counts.reconnect) + SECRET_REQUESTS * PRICES.secretRequest),
  // A link that was read just before a heartbeat is read again first.
  sweeps: ((MINUTES_A_MONTH * 60) / (leaseSeconds - heartbeatSeconds)) * costOf(counts.lease),
});

export const sumOf = (costs: Readonly<Record<string, number>>): number =>
  Object.values(costs).reduce((sum, cost) => sum + cost, 0);
