import type { ResolvedResource } from '../engine.ts';
import { TemplateProblem } from '../errors.ts';
import { compilePattern, InvalidPatternError } from '../events/patterns/index.ts';
import { asRecord, asString, type Json, type JsonObject } from '../template/json.ts';

export interface MappingSettings {
  /** Logical id, stable across runs. */
  readonly id: string;
  readonly streamArn: string;
  readonly functionName: string;
  readonly enabled: boolean;
  readonly batchSize: number;
  readonly windowMs: number;
  readonly fromStart: boolean;
  /** Number of parallel lanes per shard. The records of an item stay in one lane. */
  readonly lanes: number;
  readonly bisects: boolean;
  /** -1: no limit. */
  readonly maxRetries: number;
  /** -1: no limit. */
  readonly maxAgeMs: number;
  readonly reportsItemFailures: boolean;
  readonly onFailureArn: string | undefined;
  readonly wants: (record: JsonObject) => boolean;
}

const isTrue = (value: Json | undefined): boolean => value === true || value === 'true';

const readFilters = (criteria: JsonObject): ((record: JsonObject) => boolean) => {
  const filters = Array.isArray(criteria.Filters) ? criteria.Filters : [];
  if (filters.length === 0) return () => true;
  try {
    const matchers = filters.map((filter) => compilePattern(asString(asRecord(filter).Pattern) ?? ''));
    return (record) => matchers.some((matches) => matches(record));
  } catch (error) {
    if (!(error instanceof InvalidPatternError)) throw error;
    throw new TemplateProblem([{ property: 'FilterCriteria.Filters', message: error.message }]);
  }
};

/** Defaults of Lambda's API reference, CreateEventSourceMapping. @throws TemplateProblem */
export const readMappingSettings = (resource: ResolvedResource): MappingSettings => {
  const properties = resource.properties as JsonObject;
  const maxAgeSeconds = Number(properties.MaximumRecordAgeInSeconds ?? -1);
  const responseTypes = properties.FunctionResponseTypes;
  const onFailure = asRecord(asRecord(properties.DestinationConfig).OnFailure);
  return {
    id: resource.logicalId,
    streamArn: asString(properties.EventSourceArn) ?? '',
    functionName: asString(properties.FunctionName) ?? '',
    enabled: properties.Enabled === undefined || isTrue(properties.Enabled),
    batchSize: Number(properties.BatchSize ?? 100),
    windowMs: Number(properties.MaximumBatchingWindowInSeconds ?? 0) * 1000,
    fromStart: properties.StartingPosition === 'TRIM_HORIZON',
    lanes: Number(properties.ParallelizationFactor ?? 1),
    bisects: isTrue(properties.BisectBatchOnFunctionError),
    maxRetries: Number(properties.MaximumRetryAttempts ?? -1),
    maxAgeMs: maxAgeSeconds === -1 ? -1 : maxAgeSeconds * 1000,
    reportsItemFailures: Array.isArray(responseTypes) && responseTypes.includes('ReportBatchItemFailures'),
    onFailureArn: asString(onFailure.Destination),
    wants: readFilters(asRecord(properties.FilterCriteria)),
  };
};
