import {
  Alarm,
  ComparisonOperator,
  Dashboard,
  GraphWidget,
  type IMetric,
  type IWidget,
  Row,
  Stats,
  TreatMissingData,
} from 'aws-cdk-lib/aws-cloudwatch';
import { SnsAction } from 'aws-cdk-lib/aws-cloudwatch-actions';
import type { ITopic } from 'aws-cdk-lib/aws-sns';
import { Construct } from 'constructs';
import { type AlarmSpec, alarmsOf } from './alarms.ts';
import type { BulkheadControlPlane } from './control-plane.ts';
import { ControlPlaneMetrics, FUNCTION_GROUP_NAMES } from './metrics.ts';

export interface ObservabilityProps {
  readonly controlPlane: BulkheadControlPlane;
  readonly alarmTopic?: ITopic;
  readonly dashboard: boolean;
  /** Base URL of the runbook: an alarm's entry is `<runbookUrl>/<alarm>.md`. */
  readonly runbookUrl: string;
}

/** The name of an alarm's runbook entry: `api-read-errors` for `ApiReadErrors`. */
export const runbookEntry = (alarmId: string): string =>
  alarmId.replace(/(?<=[a-z])[A-Z]/g, (letter) => `-${letter}`).toLowerCase();

const graph = (title: string, left: readonly IMetric[], right: readonly IMetric[] = []): GraphWidget =>
  new GraphWidget({ title, width: 8, height: 6, left: [...left], right: [...right] });

/** The alarms, each with a runbook entry, and on request a dashboard. */
export class Observability extends Construct {
  readonly alarms: readonly Alarm[];

  constructor(scope: Construct, id: string, props: ObservabilityProps) {
    super(scope, id);
    const metrics = new ControlPlaneMetrics(props.controlPlane);
    this.alarms = alarmsOf(props.controlPlane, metrics).map((spec) => this.#alarm(spec, props));
    if (!props.dashboard) return;
    const dashboard = new Dashboard(this, 'Dashboard');
    for (const row of this.#rows(props.controlPlane, metrics)) dashboard.addWidgets(new Row(...row));
  }

  #alarm(spec: AlarmSpec, props: ObservabilityProps): Alarm {
    const { whenBelow = false } = spec;
    const alarm = new Alarm(this, spec.id, {
      alarmName: [...this.node.path.split('/'), spec.id].join('-'),
      alarmDescription: `${spec.summary}. What to do: ${props.runbookUrl}/${runbookEntry(spec.id)}.md`,
      metric: spec.metric,
      threshold: spec.threshold,
      evaluationPeriods: spec.periods ?? 1,
      comparisonOperator: whenBelow
        ? ComparisonOperator.LESS_THAN_THRESHOLD
        : ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
      treatMissingData: whenBelow ? TreatMissingData.BREACHING : TreatMissingData.NOT_BREACHING,
    });
    if (props.alarmTopic !== undefined) {
      const action = new SnsAction(props.alarmTopic);
      alarm.addAlarmAction(action);
      alarm.addOkAction(action);
    }
    return alarm;
  }

  #rows(plane: BulkheadControlPlane, metrics: ControlPlaneMetrics): IWidget[][] {
    return [
      [
        graph('API: requests', [metrics.http('Count', Stats.SUM)]),
        graph('API: errors', [metrics.http('4xx', Stats.SUM), metrics.http('5xx', Stats.SUM)]),
        graph('API: share of slow requests', [metrics.own('apiSlow', Stats.AVERAGE)]),
      ],
      [
        graph('Operations failed', [metrics.own('operationFailed', Stats.SUM)]),
        graph('Operations: share that waits or is slow', [metrics.own('operationLate', Stats.AVERAGE)]),
        graph('Errors; limits reached', [
          metrics.own('error', Stats.SUM),
          metrics.own('limitReached', Stats.SUM),
        ]),
      ],
      [
        graph('Workflows: started', metrics.executions('ExecutionsStarted')),
        graph('Workflows: failed', metrics.executions('ExecutionsFailed')),
        graph('Workflows: timed out, aborted', [
          ...metrics.executions('ExecutionsTimedOut'),
          ...metrics.executions('ExecutionsAborted'),
        ]),
      ],
      [
        graph('Hosts: connections, messages', [
          metrics.hostLink('ConnectCount'),
          metrics.hostLink('MessageCount'),
        ]),
        graph('Hosts with an expired lease', [metrics.own('hostSilent', Stats.SUM)]),
        graph('Hosts: errors', [metrics.hostLink('IntegrationError'), metrics.hostLink('ExecutionError')]),
      ],
      [
        graph('Table: capacity consumed', metrics.tableConsumed()),
        graph('Table: throttles', metrics.tableThrottles()),
        graph(
          'Stream: lag (ms); dead letters',
          (['process-changes', 'admit-waiting'] as const).map((name) =>
            metrics.streamLag(name).with({ label: name }),
          ),
          [plane.events.deadLetters.metricApproximateNumberOfMessagesVisible()],
        ),
      ],
      ...FUNCTION_GROUP_NAMES.map((group) => [
        graph(`${group}: invocations`, metrics.functionMetrics(group, 'Invocations')),
        graph(`${group}: errors; throttles`, metrics.functionMetrics(group, 'Errors'), [
          ...metrics.functionMetrics(group, 'Throttles'),
        ]),
        graph(`${group}: duration, p99 (ms)`, metrics.durations(group)),
      ]),
    ];
  }
}
