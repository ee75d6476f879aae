import { type IMetric, Stats } from 'aws-cdk-lib/aws-cloudwatch';
import type { BulkheadControlPlane } from './control-plane.ts';
import {
  type ControlPlaneMetrics,
  FUNCTION_GROUP_NAMES,
  FUNCTION_GROUPS,
  type FunctionGroup,
  greatestOf,
  sumOf,
} from './metrics.ts';

/** An alarm that fires when `metric` is at least `threshold` in `periods` consecutive five-minute periods. */
export interface AlarmSpec {
  /** The id of its node, and in kebab case the name of its runbook entry. */
  readonly id: string;
  readonly summary: string;
  readonly metric: IMetric;
  readonly threshold: number;
  /** @default 1 */
  readonly periods?: number;
  /** Fires when the metric is below the threshold or has no data. */
  readonly whenBelow?: boolean;
}

const functionAlarms = (metrics: ControlPlaneMetrics, group: FunctionGroup): AlarmSpec[] => [
  {
    id: `${group}Errors`,
    summary: `Functions fail: ${FUNCTION_GROUPS[group].join(', ')}`,
    metric: sumOf('Errors', metrics.functionMetrics(group, 'Errors')),
    threshold: 5,
  },
  {
    id: `${group}Throttles`,
    summary: `Functions are throttled for lack of concurrency: ${FUNCTION_GROUPS[group].join(', ')}`,
    metric: sumOf('Throttles', metrics.functionMetrics(group, 'Throttles')),
    threshold: 1,
    periods: 2,
  },
];

const apiAlarms = (metrics: ControlPlaneMetrics): AlarmSpec[] => [
  {
    id: 'ApiServerErrors',
    summary: 'The HTTPS API answers 5xx',
    metric: metrics.http('5xx', Stats.SUM),
    threshold: 5,
  },
  {
    id: 'ApiLatency',
    summary: 'The slowest container route is slow: p99 in milliseconds',
    metric: greatestOf('p99', metrics.routeLatencies()),
    threshold: 3000,
    periods: 3,
  },
  {
    id: 'ServerErrors',
    summary: 'Functions return internal errors',
    metric: metrics.own('serverError', Stats.SUM),
    threshold: 5,
  },
  {
    id: 'TooManyRequests',
    summary: 'Tenants exceed their share and get 429',
    metric: metrics.own('tooManyRequests', Stats.SUM),
    threshold: 100,
    periods: 3,
  },
];

const workflowAlarms = (metrics: ControlPlaneMetrics): AlarmSpec[] => [
  {
    id: 'ExecutionsFailed',
    summary: 'Workflows fail and are settled',
    metric: sumOf('Failed', metrics.executions('ExecutionsFailed')),
    threshold: 10,
    periods: 3,
  },
  {
    id: 'ExecutionsTimedOut',
    summary: 'Workflows reached their time limit before they finished their rollback',
    metric: sumOf('Timed out', metrics.executions('ExecutionsTimedOut')),
    threshold: 1,
  },
  {
    id: 'ExecutionsAborted',
    summary: 'Workflows were stopped by hand',
    metric: sumOf('Aborted', metrics.executions('ExecutionsAborted')),
    threshold: 1,
  },
  {
    id: 'ExecutionsThrottled',
    summary: 'Step Functions throttles the workflows',
    metric: sumOf('Throttled', metrics.executions('ExecutionThrottled')),
    threshold: 1,
    periods: 3,
  },
  {
    id: 'OperationsFailed',
    summary: 'Operations fail',
    metric: sumOf('Failed', metrics.byKind('operationFailed', Stats.SUM)),
    threshold: 10,
    periods: 3,
  },
  {
    id: 'OperationsSlow',
    summary: 'Operations take long: p99 in seconds',
    metric: greatestOf('p99', metrics.byKind('operationSeconds', Stats.percentile(99))),
    threshold: 300,
    periods: 3,
  },
  {
    id: 'PlacementWaiting',
    summary: 'Operations wait for capacity on a host',
    metric: metrics.own('placementWaiting', Stats.SUM),
    threshold: 1,
    periods: 3,
  },
];

const hostAlarms = (metrics: ControlPlaneMetrics): AlarmSpec[] => [
  {
    id: 'HostsSilent',
    summary: 'Hosts did not renew their lease in time',
    metric: metrics.own('hostSilent', Stats.SUM),
    threshold: 1,
  },
  {
    id: 'CommandsRefused',
    summary: 'Hosts refuse commands as not authentic',
    metric: metrics.own('commandRefused', Stats.SUM),
    threshold: 1,
  },
  {
    id: 'HostLinkServerErrors',
    summary: 'The agents’ WebSocket API fails to process messages',
    metric: sumOf('Errors', [metrics.hostLink('IntegrationError'), metrics.hostLink('ExecutionError')]),
    threshold: 5,
  },
];

const dataAlarms = (metrics: ControlPlaneMetrics): AlarmSpec[] => [
  {
    id: 'TableThrottles',
    summary: 'DynamoDB throttles the table or an index',
    metric: sumOf('Throttles', metrics.tableThrottles()),
    threshold: 10,
    periods: 2,
  },
  {
    id: 'TableSystemErrors',
    summary: 'DynamoDB answers 5xx',
    metric: sumOf('System errors', metrics.tableSystemErrors()),
    threshold: 5,
    periods: 2,
  },
  {
    id: 'ChangesLag',
    summary: 'Table changes are published late: milliseconds',
    metric: metrics.streamLag('process-changes'),
    threshold: 60_000,
    periods: 2,
  },
  {
    id: 'AdmissionLag',
    summary: 'Freed capacity is assigned late: milliseconds',
    metric: metrics.streamLag('admit-waiting'),
    threshold: 60_000,
    periods: 2,
  },
];

const deliveryAlarms = (plane: BulkheadControlPlane, metrics: ControlPlaneMetrics): AlarmSpec[] => [
  ...plane.events.deadLetterQueues.map((queue) => ({
    id: queue.node.id,
    summary: 'A dead-letter queue holds something that could not be processed',
    metric: queue.metricApproximateNumberOfMessagesVisible({ statistic: Stats.MAXIMUM }),
    threshold: 1,
  })),
  {
    id: 'RuleDeliveriesFailed',
    summary: 'EventBridge can’t call a rule’s target',
    metric: sumOf('Failed', metrics.failedDeliveries()),
    threshold: 1,
  },
  {
    id: 'SweepStopped',
    summary: 'The sweep does not run every minute',
    metric: plane.functions.of('sweep').lambda.metricInvocations({ statistic: Stats.SUM }),
    threshold: 3,
    periods: 2,
    whenBelow: true,
  },
];

/** Every alarm of a control plane. */
export const alarmsOf = (plane: BulkheadControlPlane, metrics: ControlPlaneMetrics): AlarmSpec[] => [
  ...FUNCTION_GROUP_NAMES.flatMap((group) => functionAlarms(metrics, group)),
  ...apiAlarms(metrics),
  ...workflowAlarms(metrics),
  ...hostAlarms(metrics),
  ...dataAlarms(metrics),
  ...deliveryAlarms(plane, metrics),
];
