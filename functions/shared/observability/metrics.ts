import { METRIC_NAMESPACE, METRICS } from '../../../core/contract/deployment.ts';
import { writeLine } from './logger.ts';

/** CloudWatch's embedded metric format: a log line that becomes a metric, without a call. */
export interface Metrics {
  /** @param dimensions names and values; each combination is a metric of its own, so no ids */
  count(name: keyof typeof METRICS, value?: number, dimensions?: Readonly<Record<string, string>>): void;
  seconds(name: keyof typeof METRICS, value: number, dimensions?: Readonly<Record<string, string>>): void;
}

export interface MetricsOptions {
  readonly now: () => Date;
  readonly write?: (line: string) => void;
}

export const createMetrics = ({ now, write = writeLine }: MetricsOptions): Metrics => {
  const put = (
    name: keyof typeof METRICS,
    value: number,
    Unit: 'Count' | 'Seconds',
    dimensions: Readonly<Record<string, string>>,
  ): void => {
    const Name = METRICS[name];
    const metric = {
      Namespace: METRIC_NAMESPACE,
      Dimensions: [Object.keys(dimensions)],
      Metrics: [{ Name, Unit }],
    };
    write(
      JSON.stringify({
        _aws: { Timestamp: now().getTime(), CloudWatchMetrics: [metric] },
        ...dimensions,
        [Name]: value,
      }),
    );
  };
  return {
    count: (name, value = 1, dimensions = {}) => put(name, value, 'Count', dimensions),
    seconds: (name, value, dimensions = {}) => put(name, value, 'Seconds', dimensions),
  };
};
