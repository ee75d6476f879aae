import { Duration } from 'aws-cdk-lib';
import { Metric, Stats } from 'aws-cdk-lib/aws-cloudwatch';
import {
  LOG_METRICS,
  METRIC_NAMESPACE,
  METRICS,
  RULE_MACHINE,
  TABLE,
} from '../../core/contract/deployment.ts';
import type { FunctionName } from '../function-specs.ts';
import type { BulkheadControlPlane } from './control-plane.ts';

/** Functions that share their graphs. */
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

export const PERIOD = Duration.minutes(5);

const OWN = { ...METRICS, ...LOG_METRICS } as const;

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
      .lambda.metric('IteratorAge', { period: PERIOD, statistic: Stats.MAXIMUM });
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

  tableConsumed(): Metric[] {
    const { tableName } = this.#plane.data.table;
    return ['ConsumedReadCapacityUnits', 'ConsumedWriteCapacityUnits'].map((metricName) =>
      this.#table(metricName, { TableName: tableName }),
    );
  }

  /** A metric of the functions, or extracted from logs. */
  own(name: keyof typeof OWN, statistic: string): Metric {
    return new Metric({
      namespace: METRIC_NAMESPACE,
      metricName: OWN[name],
      statistic,
      period: PERIOD,
    });
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
