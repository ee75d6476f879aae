import { type IMetric, Metric, Stats } from 'aws-cdk-lib/aws-cloudwatch';
import type { BulkheadControlPlane } from './control-plane.ts';
import { ERRORS } from './log-metrics.ts';
import { type ControlPlaneMetrics, PERIOD } from './metrics.ts';

/**
 * An alarm that fires when `metric` is at least `threshold` in `periods` consecutive five-minute periods. It has one
 * metric, because each metric of an alarm costs USD 0.10 a month even if nothing happens.
 */
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

/** As a p99: one in a hundred. */
const SHARE = 0.01;

const requestAlarms = (metrics: ControlPlaneMetrics): AlarmSpec[] => [
  {
    id: 'Errors',
    summary: 'Functions fail, the HTTPS API answers 5xx, or executions were stopped',
    metric: metrics.own('error', Stats.SUM),
    threshold: ERRORS,
  },
  {
    id: 'ApiLatency',
    summary: 'One in a hundred requests on container routes takes three seconds or more',
    metric: metrics.own('apiSlow', Stats.AVERAGE),
    threshold: SHARE,
    periods: 3,
  },
  {
    id: 'LimitsReached',
    summary: 'AWS services throttle or fail calls, or tenants exceed their share and get 429',
    metric: metrics.own('limitReached', Stats.SUM),
    threshold: 20,
    periods: 3,
  },
  {
    id: 'FunctionThrottles',
    summary: 'Functions of this account and Region are throttled for lack of concurrency',
    // Without dimensions: the sum over all functions, which share the concurrency.
    metric: new Metric({
      namespace: 'AWS/Lambda',
      metricName: 'Throttles',
      statistic: Stats.SUM,
      period: PERIOD,
    }),
    threshold: 1,
    periods: 2,
  },
];

const operationAlarms = (metrics: ControlPlaneMetrics): AlarmSpec[] => [
  {
    id: 'OperationsFailed',
    summary: 'Operations fail',
    metric: metrics.own('operationFailed', Stats.SUM),
    threshold: 10,
    periods: 3,
  },
  {
    id: 'OperationsSlow',
    summary: 'One in a hundred operations waits for capacity, or takes five minutes or more',
    metric: metrics.own('operationLate', Stats.AVERAGE),
    threshold: SHARE,
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
];

const backgroundAlarms = (plane: BulkheadControlPlane, metrics: ControlPlaneMetrics): AlarmSpec[] => [
  {
    id: 'ChangesLag',
    summary: 'Table changes are published late: milliseconds',
    metric: metrics.streamLag('process-changes'),
    threshold: 60_000,
    periods: 2,
  },
  {
    id: 'DeadLetters',
    summary: 'The dead-letter queue holds something that could not be processed',
    metric: plane.events.deadLetters.metricApproximateNumberOfMessagesVisible({ statistic: Stats.MAXIMUM }),
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
  ...requestAlarms(metrics),
  ...operationAlarms(metrics),
  ...hostAlarms(metrics),
  ...backgroundAlarms(plane, metrics),
];
