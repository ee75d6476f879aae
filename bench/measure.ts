/** A measurement that failed. */
export class BenchmarkError extends Error {
  override readonly name = 'BenchmarkError';
}

/** Runs `work`. @returns the time that it took, in milliseconds */
export const timed = async (work: () => Promise<unknown>): Promise<number> => {
  const began = performance.now();
  await work();
  return performance.now() - began;
};

/** The smallest value that at least `share` of the values do not exceed. */
export const quantile = (values: readonly number[], share: number): number => {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(share * sorted.length) - 1))] ?? Number.NaN;
};
export const median = (values: readonly number[]): number => quantile(values, 0.5);

export interface Series {
  readonly name: string;
  readonly values: readonly number[];
}

export type Measurement = readonly [name: string, once: () => Promise<number>];

/**
 * Runs `rounds` of each measurement, interleaved: one of each, then the next round. Other load of the machine then
 * affects all of them equally. The first round warms caches and is not counted.
 */
export const interleaved = async (
  measurements: readonly Measurement[],
  rounds: number,
): Promise<Series[]> => {
  const values = measurements.map(([name]) => ({ name, values: [] as number[] }));
  for (let round = 0; round <= rounds; round++)
    for (const [index, [, once]] of measurements.entries()) {
      const ms = await once();
      if (round > 0) values[index]?.values.push(ms);
    }
  return values;
};
