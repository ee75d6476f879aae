/** Rules and targets, in the form of the template and the API. */
import { ServiceError } from '../errors.ts';
import { asRecord, asString, type JsonObject } from '../template/json.ts';
import { parseSchedule, type Schedule } from './cron.ts';
import { compilePattern, type EventMatcher, InvalidPatternError } from './patterns/index.ts';
import { isPath } from './target-input.ts';

export interface Target {
  readonly id: string;
  readonly arn: string;
  readonly kind: 'lambda' | 'states' | 'sqs';
  readonly input?: string;
  readonly inputPath?: string;
  readonly inputTransformer?: JsonObject;
  readonly maxRetries: number;
  readonly maxAgeMs: number;
  readonly deadLetterArn?: string;
}

export interface Rule {
  readonly name: string;
  readonly bus: string;
  readonly arn: string;
  readonly description?: string;
  readonly enabled: boolean;
  /** JSON text. */
  readonly pattern?: string;
  readonly matches?: EventMatcher;
  readonly scheduleExpression?: string;
  readonly schedule?: Schedule;
  readonly targets: readonly Target[];
}

const kinds: Readonly<Record<string, Target['kind']>> = { lambda: 'lambda', states: 'states', sqs: 'sqs' };
const invalid = (message: string) => new ServiceError('ValidationException', message);

/** Defaults of EventBridge: 185 retries in 24 hours. @throws ServiceError */
export const readTarget = (raw: JsonObject): Target => {
  const arn = asString(raw.Arn) ?? '';
  const kind = kinds[arn.split(':')[2] ?? ''];
  if (kind === undefined)
    throw invalid(`target ${arn} is not implemented (implemented: Lambda, Step Functions, SQS)`);
  const inputPath = asString(raw.InputPath);
  const transformer = raw.InputTransformer === undefined ? undefined : asRecord(raw.InputTransformer);
  const paths = [
    ...(inputPath === undefined ? [] : [inputPath]),
    ...Object.values(asRecord(transformer?.InputPathsMap)),
  ];
  const wrong = paths.find((path) => !isPath(String(path)));
  if (wrong !== undefined) throw invalid(`Invalid InputPath or InputPathsMap: '${String(wrong)}'`);
  const retry = asRecord(raw.RetryPolicy);
  return {
    id: asString(raw.Id) ?? '',
    arn,
    kind,
    input: asString(raw.Input),
    inputPath,
    inputTransformer: transformer,
    maxRetries: Number(retry.MaximumRetryAttempts ?? 185),
    maxAgeMs: Number(retry.MaximumEventAgeInSeconds ?? 86_400) * 1000,
    deadLetterArn: asString(asRecord(raw.DeadLetterConfig).Arn),
  };
};

const compiled = (pattern: string): EventMatcher => {
  try {
    return compilePattern(pattern);
  } catch (error) {
    if (!(error instanceof InvalidPatternError)) throw error;
    throw new ServiceError(
      'InvalidEventPatternException',
      `Event pattern is not valid. Reason: ${error.message}`,
    );
  }
};

/** @throws ServiceError */
export const makeRule = (given: {
  name: string;
  bus: string;
  arn: string;
  description?: string;
  state: string | undefined;
  pattern: string | undefined;
  scheduleExpression: string | undefined;
  targets: readonly Target[];
}): Rule => {
  const { name, bus, arn, description, pattern, scheduleExpression, targets } = given;
  if (pattern === undefined && scheduleExpression === undefined) {
    throw invalid('Parameter(s) EventPattern or ScheduleExpression must be specified.');
  }
  if (scheduleExpression !== undefined && bus !== 'default') {
    throw invalid('ScheduleExpression is supported only on the default event bus.');
  }
  return {
    ...{ name, bus, arn, description, targets },
    enabled: given.state !== 'DISABLED',
    ...(pattern !== undefined && { pattern, matches: compiled(pattern) }),
    ...(scheduleExpression !== undefined && {
      scheduleExpression,
      schedule: parseSchedule(scheduleExpression),
    }),
  };
};
