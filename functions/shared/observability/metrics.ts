import { METRIC_NAMESPACE, METRICS } from '../../../core/contract/deployment.ts';
import { writeLine } from './logger.ts';

/** CloudWatch's embedded metric format: CloudWatch turns the log line into a metric, without a call. */
export interface Metrics {
  /**
   * @param about what the line says in addition, for the runbook's queries; no dimensions of the metric
   * @param value a count, or 0 or 1 for a share
   */
  count(name: keyof typeof METRICS, about?: Readonly<Record<string, unknown>>, value?: number): void;
}

interface MetricsOptions {
  readonly now: () => Date;
  readonly write?: (line: string) => void;
}

export const createMetrics = ({ now, write = writeLine }: MetricsOptions): Metrics => ({
  count: (name, about = {}, value = 1) => {
    const Name = METRICS[name];
    const metric = { Namespace: METRIC_NAMESPACE, Dimensions: [[]], Metrics: [{ Name, Unit: 'Count' }] };
    write(
      JSON.stringify({
        _aws: { Timestamp: now().getTime(), CloudWatchMetrics: [metric] },
        ...about,
        [Name]: value,
      }),
    );
  },
});
