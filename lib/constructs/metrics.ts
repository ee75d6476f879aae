import { Duration } from 'aws-cdk-lib';
import { type IMetric, MathExpression, Metric, Stats } from 'aws-cdk-lib/aws-cloudwatch';
import { METRIC_NAMESPACE, METRICS, RULE_MACHINE, TABLE } from '../../core/contract/deployment.ts';
import { ROUTES } from '../../core/contract/http/routes.ts';
import { OPERATION_KINDS } from '../../core/contract/operation.ts';
import type { FunctionName } from '../function-specs.ts';
import type { BulkheadControlPlane } from './control-plane.ts';

/** Functions that share their alarms. CloudWatch allows ten metrics in one alarm. */
export const FUNCTION_GROUPS = {
  ApiRead: ['read-containers', 'compute-processes', 'list-processes', 'operations', 'events', 'meta'],
  ApiWrite: [
    'create-container',
    'update-container',
    'control-container',
    'hosts',
    'host-enrollment',
    'images',
    'sessions',
    'conversion-rules',
  ],
  Workflow: ['place-container', 'dispatch-command', 'settle-operation', 'run-conversion-rule'],
  HostLink: ['authorize-host', 'host-connection', 'host-message', 'session-frame'],
  Background: ['process-changes', 'admit-waiting', 'sweep'],
} as const satisfies Readonly<Record<string, readonly FunctionName[]>>;
export type FunctionGroup = keyof typeof FUNCTION_GROUPS;
export const FUNCTION_GROUP_NAMES = Object.keys(FUNCTION_GROUPS) as FunctionGroup[];

/** Routes that wait for a host or for an operation. They are slow by design. */
const WAITS_FOR_OTHERS = [
  'getOperation',
  'listContainerProcesses',
  'listHostProcesses',
  'getContainerIsolation',
  'verifyContainerIsolation',
  'getContainerLogs',
  'execInContainer',
  'openSession',
  'revokeSession',
];
/** The routes whose latency is monitored: the most used ones, at most as many as an alarm allows. */
const WATCHED_ROUTES = ROUTES.filter(
  (route) => route.path.startsWith('/v1/containers') && !WAITS_FOR_OTHERS.includes(route.operationId),
).slice(0, 10);

export const PERIOD = Duration.minutes(5);

const combine = (operator: 'SUM' | 'MAX', label: string, metrics: readonly IMetric[]): MathExpression => {
  const usingMetrics = Object.fromEntries(metrics.map((metric, index) => [`m${index}`, metric]));
  return new MathExpression({
    expression: `${operator}([${Object.keys(usingMetrics).join(', ')}])`,
    label,
    usingMetrics,
    period: PERIOD,
  });
};
export const sumOf = (label: string, metrics: readonly IMetric[]) => combine('SUM', label, metrics);
export const greatestOf = (label: string, metrics: readonly IMetric[]) => combine('MAX', label, metrics);

/** Metrics of one control plane, by subject. Periods are five minutes. */
export class ControlPlaneMetrics {
  readonly #plane: BulkheadControlPlane;

  constructor(plane: BulkheadControlPlane) {
    this.#plane = plane;
  }

  functionMetrics(group: FunctionGroup, kind: 'Errors' | 'Throttles' | 'Invocations'): Metric[] {
    return FUNCTION_GROUPS[group].map((name) => {
      const lambda = this.#plane.functions.of(name).lambda;
      const options = { period: PERIOD, statistic: Stats.SUM, label: name };
      return kind === 'Errors'
        ? lambda.metricErrors(options)
        : kind === 'Throttles'
          ? lambda.metricThrottles(options)
          : lambda.metricInvocations(options);
    });
  }

  durations(group: FunctionGroup): Metric[] {
    return FUNCTION_GROUPS[group].map((name) =>
      this.#plane.functions
        .of(name)
        .lambda.metricDuration({ period: PERIOD, statistic: Stats.percentile(99), label: name }),
    );
  }

  streamLag(name: 'process-changes' | 'admit-waiting'): Metric {
    return this.#plane.functions
      .of(name)
      .lambda.metric('IteratorAge', { period: PERIOD, statistic: Stats.MAXIMUM, label: name });
  }

  executions(metricName: string): Metric[] {
    const { orchestration, conversionByRule } = this.#plane;
    const arns = { ...orchestration.arns, [RULE_MACHINE]: conversionByRule.machine.ref };
    return Object.entries(arns).map(
      ([name, arn]) =>
        new Metric({
          namespace: 'AWS/States',
          metricName,
          dimensionsMap: { StateMachineArn: arn },
          statistic: Stats.SUM,
          period: PERIOD,
          label: name,
        }),
    );
  }

  http(metricName: string, statistic: string): Metric {
    return this.#api(this.#plane.api.api.ref, '$default', metricName, statistic);
  }

  routeLatencies(): Metric[] {
    return WATCHED_ROUTES.map(
      (route) =>
        new Metric({
          namespace: 'AWS/ApiGateway',
          metricName: 'Latency',
          dimensionsMap: {
            ApiId: this.#plane.api.api.ref,
            Stage: '$default',
            Method: route.method,
            Resource: route.path,
          },
          statistic: Stats.percentile(99),
          period: PERIOD,
          label: route.operationId,
        }),
    );
  }

  hostLink(metricName: string): Metric {
    const { api, stage } = this.#plane.hostLink;
    return this.#api(api.ref, stage.stageName, metricName, Stats.SUM);
  }

  tableThrottles(): Metric[] {
    const { tableName } = this.#plane.data.table;
    const places = [{}, ...TABLE.indexes.map((index) => ({ GlobalSecondaryIndexName: index }))];
    return places.flatMap((place) =>
      ['ReadThrottleEvents', 'WriteThrottleEvents'].map((metricName) =>
        this.#table(metricName, { TableName: tableName, ...place }),
      ),
    );
  }

  tableSystemErrors(): Metric[] {
    const { tableName } = this.#plane.data.table;
    return [
      'GetItem',
      'BatchGetItem',
      'Query',
      'PutItem',
      'UpdateItem',
      'DeleteItem',
      'TransactWriteItems',
      'GetRecords',
    ].map((Operation) => this.#table('SystemErrors', { TableName: tableName, Operation }));
  }

  tableConsumed(): Metric[] {
    const { tableName } = this.#plane.data.table;
    return ['ConsumedReadCapacityUnits', 'ConsumedWriteCapacityUnits'].map((metricName) =>
      this.#table(metricName, { TableName: tableName }),
    );
  }

  failedDeliveries(): Metric[] {
    return this.#plane.events.rules.map(
      (rule) =>
        new Metric({
          namespace: 'AWS/Events',
          metricName: 'FailedInvocations',
          dimensionsMap: { RuleName: rule.ruleName },
          statistic: Stats.SUM,
          period: PERIOD,
          label: rule.node.id,
        }),
    );
  }

  /** A custom metric of the functions. */
  own(name: keyof typeof METRICS, statistic: string, dimensionsMap: Record<string, string> = {}): Metric {
    return new Metric({
      namespace: METRIC_NAMESPACE,
      metricName: METRICS[name],
      dimensionsMap,
      statistic,
      period: PERIOD,
      label: Object.values(dimensionsMap)[0],
    });
  }

  /** A custom metric of the functions, for each kind of operation. */
  byKind(name: 'operationFailed' | 'operationSeconds', statistic: string): Metric[] {
    return OPERATION_KINDS.map((kind) => this.own(name, statistic, { Kind: kind }));
  }

  #api(ApiId: string, Stage: string, metricName: string, statistic: string): Metric {
    return new Metric({
      namespace: 'AWS/ApiGateway',
      metricName,
      dimensionsMap: { ApiId, Stage },
      statistic,
      period: PERIOD,
    });
  }

  #table(metricName: string, dimensionsMap: Record<string, string>): Metric {
    return new Metric({
      namespace: 'AWS/DynamoDB',
      metricName,
      dimensionsMap,
      statistic: Stats.SUM,
      period: PERIOD,
    });
  }
}
