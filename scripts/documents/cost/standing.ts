import type { SynthesizedTemplate, TemplateResource } from '../template.ts';
import { costOf, type IdleCounts, MINUTES_A_MONTH } from './cost.ts';
import { PRICES } from './prices.ts';

/** What a deployment costs a month although nothing runs and no host is connected. */
export interface StandingCost {
  readonly what: string;
  readonly count: number;
  /** USD a month. */
  readonly usd: number;
}

/** A resource or a property whose cost is not known here. Add it to this file, and run `npm run docs`. */
export class UnknownCostError extends Error {
  override readonly name = 'UnknownCostError';
}

/** Types that are charged by use only, and what is charged. */
export const CHARGED_BY_USE: Readonly<Record<string, string>> = {
  'AWS::DynamoDB::Table': 'requests; storage and point-in-time recovery by size',
  'AWS::Lambda::Function': 'invocations and their time',
  'AWS::Lambda::EventSourceMapping': 'invocations; Lambda reads the table’s stream free of charge',
  'AWS::ApiGatewayV2::Api': 'requests, messages, connection minutes',
  'AWS::StepFunctions::StateMachine': 'state transitions',
  'AWS::Events::EventBus': 'custom events; events of AWS services are free',
  'AWS::SQS::Queue': 'requests; nothing reads the queue',
  'AWS::Logs::LogGroup': 'data that is written and stored',
  'AWS::Logs::MetricFilter': 'its metric, for hours with data',
  'AWS::Cognito::UserPool': 'token requests (USD 2.25 for 1,000)',
};

/** Types that are free. */
const FREE = new Set([
  'AWS::ApiGateway::Account',
  'AWS::ApiGatewayV2::Authorizer',
  'AWS::ApiGatewayV2::Integration',
  'AWS::ApiGatewayV2::Route',
  'AWS::ApiGatewayV2::Stage',
  'AWS::Cognito::UserPoolClient',
  'AWS::Cognito::UserPoolDomain',
  'AWS::Cognito::UserPoolResourceServer',
  'AWS::IAM::Policy',
  'AWS::IAM::Role',
  'AWS::Lambda::EventInvokeConfig',
  'AWS::Lambda::Permission',
  'AWS::SQS::QueuePolicy',
]);

/** Properties that make a resource cost something although it is not used. */
const REFUSED: Readonly<Record<string, readonly string[]>> = {
  'AWS::DynamoDB::Table': ['ContributorInsightsSpecification', 'ProvisionedThroughput', 'SSESpecification'],
  'AWS::Lambda::Function': ['SnapStart', 'VpcConfig', 'KmsKeyArn'],
  'AWS::Lambda::EventSourceMapping': ['MetricsConfig', 'ProvisionedPollerConfig'],
  'AWS::SecretsManager::Secret': ['KmsKeyId', 'ReplicaRegions'],
  'AWS::Logs::LogGroup': ['KmsKeyId'],
  'AWS::SQS::Queue': ['KmsMasterKeyId'],
};

/** Lambda's own lines for an invocation that it starts and reports, in bytes. */
const PLATFORM_LOG_BYTES = 1_000;
const GIGABYTE = 1_000_000_000;

const metricsOf = ({ Properties }: TemplateResource): number => {
  const queries = Properties.Metrics as readonly { readonly MetricStat?: unknown }[] | undefined;
  return queries === undefined ? 1 : queries.filter(({ MetricStat }) => MetricStat !== undefined).length;
};

const minutesOf = (schedule: string): number => {
  const [, minutes] = /^rate\((\d+) minutes?\)$/.exec(schedule) ?? [];
  if (minutes === undefined) throw new UnknownCostError(`The schedule ${schedule} has no known cost.`);
  return Number(minutes);
};

/** What one invocation of a scheduled function costs. The sweep is the only one. */
const scheduledCost = (
  rule: TemplateResource,
  { Resources }: SynthesizedTemplate,
  { sweep }: IdleCounts,
): number => {
  const [target] = rule.Properties.Targets as readonly { readonly Arn: Readonly<Record<string, string[]>> }[];
  const called = Resources[target?.Arn['Fn::GetAtt']?.[0] ?? ''];
  if (!String(called?.Metadata?.['aws:cdk:path']).includes('/sweep/'))
    throw new UnknownCostError('The target of a scheduled rule has no known cost.');
  const { TracingConfig, LoggingConfig } = (called?.Properties ?? {}) as {
    readonly TracingConfig?: { readonly Mode: string };
    readonly LoggingConfig?: { readonly SystemLogLevel?: string };
  };
  const trace = TracingConfig?.Mode === 'Active' ? PRICES.trace : 0;
  const log = LoggingConfig?.SystemLogLevel === 'WARN' ? 0 : PLATFORM_LOG_BYTES / GIGABYTE;
  return costOf(sweep) + PRICES.scheduledInvocation + trace + log * PRICES.logGigabyte;
};

const NOTHING = { count: 0, usd: 0 };

const costOfResource = (
  resource: TemplateResource,
  template: SynthesizedTemplate,
  idle: IdleCounts,
): StandingCost => {
  const { Type, Properties } = resource;
  switch (Type) {
    case 'AWS::CloudWatch::Alarm': {
      const count = metricsOf(resource);
      return { what: 'Metrics of alarms', count, usd: count * PRICES.alarmMetric };
    }
    case 'AWS::CloudWatch::Dashboard':
      return { what: 'Dashboards', count: 1, usd: PRICES.dashboard };
    case 'AWS::SecretsManager::Secret':
      return { what: 'Secrets', count: 1, usd: PRICES.secret };
    case 'AWS::Events::Rule': {
      const schedule = Properties.ScheduleExpression;
      if (schedule === undefined) return { what: 'Rules on events', ...NOTHING };
      const count = MINUTES_A_MONTH / minutesOf(String(schedule));
      return { what: 'Sweeps', count, usd: count * scheduledCost(resource, template, idle) };
    }
    default:
      if (Type in CHARGED_BY_USE || FREE.has(Type)) return { what: Type, ...NOTHING };
      throw new UnknownCostError(`Resources of type ${Type} have no known cost.`);
  }
};

/**
 * What the resources of a template cost a month if nothing runs, without items that cost nothing.
 *
 * @throws UnknownCostError if a type or a property is not known here
 */
export const standingCosts = (template: SynthesizedTemplate, idle: IdleCounts): readonly StandingCost[] => {
  const sums = new Map<string, StandingCost>();
  for (const [id, resource] of Object.entries(template.Resources)) {
    const property = REFUSED[resource.Type]?.find((name) => resource.Properties[name] !== undefined);
    if (property !== undefined) throw new UnknownCostError(`${property} of ${id} has no known cost.`);
    const { what, count, usd } = costOfResource(resource, template, idle);
    const before = sums.get(what) ?? NOTHING;
    sums.set(what, { what, count: before.count + count, usd: before.usd + usd });
  }
  return [...sums.values()].filter(({ usd }) => usd > 0);
};
