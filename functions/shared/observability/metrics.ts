import { METRIC_NAMESPACE, METRICS } from '../../../core/contract/deployment.ts';
import { writeLine } from './logger.ts';

/** CloudWatch's embedded metric format: CloudWatch turns the log line into a metric, without a call. */
export interface Metrics {
  /** @param dimensions names and values. Each combination is a separate metric, so ids do not belong here. */
  count(name: keyof typeof METRICS, value?: number, dimensions?: Readonly<Record<string, string>>): void;
  seconds(name: keyof typeof METRICS, value: number, dimensions?: Readonly<Record<string, string>>): void;
}

interface MetricsOptions {
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
