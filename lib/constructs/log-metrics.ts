import { FilterPattern, type ILogGroup, MetricFilter } from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';
import { LOG_METRICS, METRIC_NAMESPACE } from '../../core/contract/deployment.ts';
import { ROUTES } from '../../core/contract/http/routes.ts';

export interface LogMetricsProps {
  /** The log of all functions. */
  readonly functions: ILogGroup;
  /** The log of all state machines. */
  readonly machines: ILogGroup;
  /** The access log of the HTTPS API. */
  readonly api: ILogGroup;
}

/** Errors in one period that fire the alarm. A stopped execution counts as that many. */
export const ERRORS = 5;
/** A slow request takes at least this long, in milliseconds. */
const SLOW_MS = 3000;

const CONTAINERS = '/v1/containers';
/** The parts of container routes that wait for a host, and are slow by design. */
const WAITING_PARTS = new Set(
  ROUTES.filter(({ path, overShare }) => path.startsWith(CONTAINERS) && overShare !== undefined).map(
    ({ path }) => path.split('/')[4] ?? '',
  ),
);

const all = (...terms: readonly string[]): string => `{ ${terms.map((term) => `(${term})`).join(' && ')} }`;
const any = (...terms: readonly string[]): string => `{ ${terms.map((term) => `(${term})`).join(' || ')} }`;

const isContainerRequest = [
  `$.routeKey = "*${CONTAINERS}*"`,
  ...[...WAITING_PARTS].map((part) => `$.routeKey != "*/${part}*"`),
];

/** Lambda reports only invocations that ended in an error, ran out of memory or timed out. */
const FUNCTION_FAILED = all('$.type = "platform.report"', '$.record.status != "success"');
const ANSWERED_5XX = '{ $.status = "5*" }';
/** A failed execution settles its operation, which is counted as a failed operation. */
const EXECUTION_STOPPED = any('$.type = "ExecutionTimedOut"', '$.type = "ExecutionAborted"');
/** A failed execution of this machine settles no operation. */
const RULE_FAILED = all('$.type = "ExecutionFailed"', '$.execution_arn = "*ConversionByRule*"');

/**
 * Metrics that CloudWatch extracts from logs. A metric filter is free, and its metric is charged only for the hours in
 * which it has data. Several filters feed one metric, because each metric of an alarm is charged every month.
 */
export class LogMetrics extends Construct {
  constructor(scope: Construct, id: string, { functions, machines, api }: LogMetricsProps) {
    super(scope, id);
    this.#filter('FunctionFailed', functions, 'error', FUNCTION_FAILED);
    this.#filter('Answered5xx', api, 'error', ANSWERED_5XX);
    this.#filter('ExecutionStopped', machines, 'error', EXECUTION_STOPPED, ERRORS);
    this.#filter('RuleFailed', machines, 'error', RULE_FAILED);
    this.#filter(
      'SlowRequest',
      api,
      'apiSlow',
      all(...isContainerRequest, `$.responseLatency >= ${SLOW_MS}`),
    );
    this.#filter('Request', api, 'apiSlow', all(...isContainerRequest, `$.responseLatency < ${SLOW_MS}`), 0);
  }

  #filter(
    id: string,
    logGroup: ILogGroup,
    metric: keyof typeof LOG_METRICS,
    pattern: string,
    value = 1,
  ): void {
    new MetricFilter(this, id, {
      logGroup,
      metricNamespace: METRIC_NAMESPACE,
      metricName: LOG_METRICS[metric],
      filterPattern: FilterPattern.literal(pattern),
      metricValue: String(value),
    });
  }
}
