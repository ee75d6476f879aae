import type { SynthesizedTemplate } from '../template.ts';
import { type Counts, type IdleCounts, INVOCATION_SECONDS, type Lease } from './cost.ts';
import { QUOTAS, type Quota } from './quotas.ts';
import type { LoadCounts } from './read-counts.ts';

export interface Load {
  readonly hosts: number;
  readonly createsPerSecond: number;
}

/** How much of a limit one host and one create take a second. */
export interface Limit extends Quota {
  readonly perHost: number;
  readonly perCreate: number;
}

/** API Gateway ends a WebSocket connection after two hours. */
const CONNECTION_SECONDS = 7_200;

/** Write units of an event in a full batch (ADR 0034). */
const UNITS_OF_EVENT = 0.05;

/** The limits of stages in the template. */
export const stageLimits = ({ Resources }: SynthesizedTemplate): { http: number; webSocket: number } => {
  const rateOf = (stage: string): number => {
    const found = Object.values(Resources).find(
      ({ Type, Properties }) => Type === 'AWS::ApiGatewayV2::Stage' && Properties.StageName === stage,
    );
    const settings = found?.Properties.DefaultRouteSettings as
      | { readonly ThrottlingRateLimit: number }
      | undefined;
    return settings?.ThrottlingRateLimit ?? Number.NaN;
  };
  return { http: rateOf('$default'), webSocket: rateOf('v1') };
};

/**
 * The limits that heartbeats and creates share.
 *
 * @param counts of one create with start
 */
export const limitsOf = (
  { create, load, idle }: { create: Counts; load: LoadCounts; idle: IdleCounts },
  { heartbeatSeconds }: Lease,
  stages: { readonly http: number; readonly webSocket: number },
): readonly Limit[] => {
  const beats = 1 / heartbeatSeconds;
  const reconnects = 1 / CONNECTION_SECONDS;
  const perHost = (of: (counts: Counts) => number): number =>
    beats * of(idle.heartbeat) + reconnects * of(idle.reconnect);
  const limit = (quota: Quota, host: number, perCreate: number): Limit => ({
    ...quota,
    perHost: host,
    perCreate,
  });
  const own = (name: string, rate: number, property: string): Quota => ({
    name,
    limit: rate,
    raise: `property ${property}`,
    source: 'deploy.md',
  });
  return [
    limit(
      { ...QUOTAS.partitionWrites, name: 'DynamoDB: write units of `T#acme#E`' },
      0,
      create.events * UNITS_OF_EVENT,
    ),
    ...Object.entries(load.partitions)
      .filter(([, units]) => units >= 1)
      .map(([partition, units]) =>
        limit({ ...QUOTAS.partitionWrites, name: `DynamoDB: write units of \`${partition}\`` }, 0, units),
      ),
    limit(
      QUOTAS.tableWrites,
      perHost(({ writeUnits }) => writeUnits),
      create.writeUnits,
    ),
    limit(
      QUOTAS.tableReads,
      perHost(({ readUnits }) => readUnits),
      create.readUnits,
    ),
    limit(
      QUOTAS.gatewayRequests,
      perHost(({ messages }) => messages),
      create.httpRequests + create.messages,
    ),
    limit(own('HTTPS API: requests', stages.http, '`throttle`'), 0, create.httpRequests),
    limit(
      own('WebSocket API: messages of hosts', stages.webSocket, '`hostThrottle`'),
      beats + 2 * reconnects,
      load.hostMessages,
    ),
    limit(QUOTAS.connections, reconnects, 0),
    limit(
      QUOTAS.concurrency,
      perHost(({ functions }) => functions * INVOCATION_SECONDS),
      create.functions * INVOCATION_SECONDS,
    ),
    limit(QUOTAS.events, 0, create.events),
    limit(QUOTAS.executions, 0, create.transitions > 0 ? 1 : 0),
    limit(QUOTAS.transitions, 0, create.transitions),
  ];
};

/** The used part of a limit. */
export const usedOf = ({ limit, perHost, perCreate }: Limit, { hosts, createsPerSecond }: Load): number =>
  (hosts * perHost + createsPerSecond * perCreate) / limit;
