import { HEARTBEAT_SECONDS, LEASE_SECONDS } from '../../core/contract/deployment.ts';
import { type Counts, costOf, idleHostCosts, MINUTES_A_MONTH, sumOf } from '../documents/cost/cost.ts';
import { type Limit, limitsOf, stageLimits, usedOf } from '../documents/cost/limits.ts';
import { PRICE_LIST, PRICES, PRICES_OF } from '../documents/cost/prices.ts';
import { QUOTAS_OF } from '../documents/cost/quotas.ts';
import { readIdleCounts, readLoadCounts, readOperationCounts } from '../documents/cost/read-counts.ts';
import { CHARGED_BY_USE, standingCosts } from '../documents/cost/standing.ts';
import { type SynthesizedTemplate, templateOf } from '../documents/template.ts';

const DEFAULT_LEASE = { heartbeatSeconds: HEARTBEAT_SECONDS, leaseSeconds: LEASE_SECONDS };
const row = (...cells: readonly (string | number)[]): string => `| ${cells.join(' | ')} |`;
const thousands = (value: number): string => value.toLocaleString('en-US');

const standing = (template: SynthesizedTemplate): string => {
  const costs = standingCosts(template, readIdleCounts());
  const sum = costs.reduce((total, { usd }) => total + usd, 0);
  return `## A deployment on which nothing runs

USD a month, worked out from each resource of the synthesized template with default settings. \`test/cdk/standing-cost.test.ts\` holds it below USD 2, and fails if a resource is added whose cost is not recorded.

| | Count | USD a month |
|---|---|---|
${costs.map(({ what, count, usd }) => row(what, thousands(count), usd.toFixed(2))).join('\n')}
${row('Sum', '', sum.toFixed(2))}

- Each alarm has one metric ([ADR 0035](adr/0035-cost-when-idle.md)). Custom metrics are charged only for hours with data: while nothing happens, none has.
- A dashboard costs USD ${PRICES.dashboard.toFixed(2)} a month. The context \`dashboard=true\` creates it.
- The sweep has no traces, and no log lines while nothing happens.
- These are charged by use, so nothing while there is none:

| Resource | Charged |
|---|---|
${Object.entries(CHARGED_BY_USE)
  .map(([type, what]) => row(`\`${type}\``, what))
  .join('\n')}
`;
};

const LEASES = [
  { heartbeatSeconds: 60, leaseSeconds: 180 },
  DEFAULT_LEASE,
  { heartbeatSeconds: 150, leaseSeconds: 400 },
];

const idleHost = (): string => {
  const counts = readIdleCounts();
  const leaseRow = (lease: (typeof LEASES)[number]): string => {
    const costs = idleHostCosts(counts, lease);
    const { heartbeatSeconds, leaseSeconds } = lease;
    const name = `${heartbeatSeconds}, ${leaseSeconds}${lease === DEFAULT_LEASE ? ' (default)' : ''}`;
    const cells = [costs.heartbeats, costs.connection, costs.reconnections, costs.sweeps, sumOf(costs)];
    return row(name, ...cells.map((cost) => cost.toFixed(4)));
  };
  const { heartbeat, reconnect } = counts;
  const tenant = (MINUTES_A_MONTH * costOf(counts.tenant)).toFixed(4);
  return `## An idle host

USD a month for a connected host without containers:

| Heartbeat and lease in seconds | Heartbeats | Connection | Reconnections | Sweeps | Sum |
|---|---|---|---|---|---|
${LEASES.map(leaseRow).join('\n')}

- A heartbeat is one message, one invocation, ${heartbeat.writeUnits} write unit and ${heartbeat.readUnits} read units. It gets no answer, and leaves no log line, access log entry or trace.
- Each minute of a connection is charged. API Gateway ends it after two hours. A reconnection is ${reconnect.functions} invocations, ${reconnect.messages} messages, ${reconnect.writeUnits} write units, ${reconnect.readUnits} read units, and two requests to Secrets Manager unless the function has read the keys within 15 minutes.
- The sweep reads a host's link when its lease may have expired: half a read unit. Each tenant with hosts costs another USD ${tenant} a month.

The interval is a trade-off. A command whose push was lost arrives with the next heartbeat. A host is shown as \`Unknown\` when its lease is over, and its containers at most a minute later. A lease of more than two heartbeats tolerates one that is lost. Set \`heartbeatSeconds\` and \`leaseSeconds\` ([deploy.md](deploy.md#configuration)); \`npm start\` uses 60 and 180, because heartbeats cost nothing on one machine.
`;
};

const operationRow = (type: string, what: string, counts: Counts): string => {
  const { writeUnits, readUnits, functions, transitions, messages, events } = counts;
  const usd = (costOf(counts) * 1_000_000).toFixed(0);
  return row(type, what, writeUnits, readUnits, functions, transitions, messages, events, usd);
};

const operations = (): string => `## Operations

Each is one request with an \`Idempotency-Key\`. A start includes the creation. A real host also sends the progress of long steps: each is one message, one invocation and one write unit.

| Type | Operation | Write units | Read units | Functions | States entered | Messages | Events | USD per million |
|---|---|---|---|---|---|---|---|---|
${Object.entries(readOperationCounts())
  .flatMap(([type, work]) => Object.entries(work).map(([what, counts]) => operationRow(type, what, counts)))
  .join('\n')}

An invocation is counted with 50 ms at 256 MB. Logs, traces, transfer and CloudWatch are not included.
`;

const LOAD = { hosts: 10_000, createsPerSecond: 1_000 };

const alone = (limit: number, each: number): string =>
  each === 0 ? '' : thousands(Math.floor(limit / each));

const limitTable = (limits: readonly Limit[]): string =>
  [...limits]
    .filter(({ perHost, perCreate }) => perHost > 0 || perCreate > 0)
    .sort((a, b) => usedOf(b, LOAD) - usedOf(a, LOAD))
    .map((one) =>
      row(
        `[${one.name}](${one.source})`,
        thousands(one.limit),
        one.raise,
        `${(usedOf(one, LOAD) * 100).toFixed(0)} %`,
        alone(one.limit, one.perHost),
        alone(one.limit, one.perCreate),
      ),
    )
    .join('\n');

const firstOf = (limits: readonly Limit[], each: (limit: Limit) => number): Limit | undefined =>
  limits.filter((one) => each(one) > 0).sort((a, b) => a.limit / each(a) - b.limit / each(b))[0];

const describeFirst = (limits: readonly Limit[]): string => {
  const host = firstOf(limits, ({ perHost }) => perHost);
  const create = firstOf(limits, ({ perCreate }) => perCreate);
  const creates = alone(create?.limit ?? 0, create?.perCreate ?? 0);
  return `Hosts alone first meet “${host?.name}”, at ${alone(host?.limit ?? 0, host?.perHost ?? 0)} hosts. Creates alone first meet “${create?.name}”, at ${creates} a second.`;
};

const limits = (template: SynthesizedTemplate): string => {
  const tables = Object.entries(readLoadCounts()).map(([type, load]) => {
    const create = readOperationCounts()[type]?.start;
    if (create === undefined) throw new TypeError(`bench/counts.json has no start of type ${type}`);
    const counts = { create, load, idle: readIdleCounts() };
    const found = limitsOf(counts, DEFAULT_LEASE, stageLimits(template));
    return `### ${type}

${describeFirst(found)}

| Limit | A second | Raised by | Used | Hosts alone | Creates a second alone |
|---|---|---|---|---|---|
${limitTable(found)}
`;
  });
  return `## Limits under load

The load: ${thousands(LOAD.hosts)} hosts that send heartbeats every ${HEARTBEAT_SECONDS} seconds, and ${thousands(LOAD.createsPerSecond)} creates with start a second, of one tenant. Default quotas of ${QUOTAS_OF}. More than 100 % is not possible. The last two columns show at how many hosts without creates, or creates without hosts, a limit is met.

${tables.join('\n')}
- One partition of DynamoDB takes 1,000 write units a second. Listed are those that all creates of a tenant write (\`acme\` is the tenant; \`store/keys.ts\` explains the keys). Each tenant has its own. DynamoDB can divide a hot partition, but not one whose sort key is the time, as of operations. Events (\`T#acme#E\`) are written in batches under load ([ADR 0034](adr/0034-the-log-of-events.md)).
- After an outage, hosts reconnect at most as fast as API Gateway accepts connections: ${thousands(LOAD.hosts)} hosts in ${LOAD.hosts / 500} seconds or more. The jitter of the agents spreads them.
- If \`process-changes\` is too slow for a shard of the table's stream, events are late, and the alarm [ChangesLag](runbook/changes-lag.md) fires.
- A new table accepts 4,000 write units a second, and doubles that within thirty minutes. A new account has lower quotas of Lambda and Step Functions.
`;
};

const prices = (): string => `## Prices

Prices of ${PRICES_OF}, without free tiers.

| USD | For |
|---|---|
${Object.values(PRICE_LIST)
  .map(({ usd, for: count, unit, source }) => row(usd, `[${thousands(count)} ${unit}](${source})`))
  .join('\n')}
`;

/**
 * `docs/cost.md`: from the synthesized template, tables of prices and quotas, and the counts in `bench` that tests in
 * `test/integration/functions` check.
 */
export const generate = async (): Promise<Map<string, string>> => {
  const template = templateOf({});
  const parts = [standing(template), idleHost(), operations(), limits(template), prices()];
  return new Map([
    [
      'docs/cost.md',
      `# Cost on AWS

Generated by \`npm run docs\` from the synthesized template, from the counts in \`bench/counts.json\`, \`bench/idle-counts.json\` and \`bench/load-counts.json\`, which tests check on every change, and from tables of prices and quotas in \`scripts/documents/cost\`. A month has 730 hours.

${parts.join('\n')}`,
    ],
  ]);
};
