/** Resource types that get an identity but have no effect on one machine. */
import type {
  CloudContext,
  PropertyRules,
  ResolvedResource,
  ResourceEngine,
  ResourceIdentity,
} from './engine.ts';
import { asString } from './template/json.ts';
import { metadataOnly, notEnforced, recordedOnly } from './template/properties.ts';

const types = {
  'AWS::IAM::Role': {
    AssumeRolePolicyDocument: notEnforced,
    Description: metadataOnly,
    ManagedPolicyArns: notEnforced,
    MaxSessionDuration: notEnforced,
    Path: notEnforced,
    PermissionsBoundary: notEnforced,
    Policies: notEnforced,
    RoleName: notEnforced,
    Tags: metadataOnly,
  },
  'AWS::IAM::Policy': {
    Groups: notEnforced,
    PolicyDocument: notEnforced,
    PolicyName: notEnforced,
    Roles: notEnforced,
    Users: notEnforced,
  },
  'AWS::IAM::ManagedPolicy': {
    Description: metadataOnly,
    Groups: notEnforced,
    ManagedPolicyName: notEnforced,
    Path: notEnforced,
    PolicyDocument: notEnforced,
    Roles: notEnforced,
    Users: notEnforced,
  },
  'AWS::Logs::LogGroup': {
    LogGroupName: metadataOnly,
    LogGroupClass: metadataOnly,
    RetentionInDays: recordedOnly,
    KmsKeyId: recordedOnly,
    Tags: metadataOnly,
  },
  'AWS::Logs::ResourcePolicy': { PolicyDocument: notEnforced, PolicyName: notEnforced },
  'AWS::Logs::MetricFilter': {
    FilterName: recordedOnly,
    FilterPattern: recordedOnly,
    LogGroupName: recordedOnly,
    MetricTransformations: recordedOnly,
  },
  'AWS::SNS::Topic': {
    DisplayName: metadataOnly,
    KmsMasterKeyId: recordedOnly,
    Subscription: recordedOnly,
    TopicName: metadataOnly,
    Tags: metadataOnly,
  },
  'AWS::SNS::TopicPolicy': { PolicyDocument: notEnforced, Topics: notEnforced },
  'AWS::CloudWatch::Alarm': {
    ActionsEnabled: recordedOnly,
    AlarmActions: recordedOnly,
    AlarmDescription: recordedOnly,
    AlarmName: recordedOnly,
    ComparisonOperator: recordedOnly,
    DatapointsToAlarm: recordedOnly,
    Dimensions: recordedOnly,
    EvaluateLowSampleCountPercentile: recordedOnly,
    EvaluationPeriods: recordedOnly,
    ExtendedStatistic: recordedOnly,
    InsufficientDataActions: recordedOnly,
    MetricName: recordedOnly,
    Metrics: recordedOnly,
    Namespace: recordedOnly,
    OKActions: recordedOnly,
    Period: recordedOnly,
    Statistic: recordedOnly,
    Tags: metadataOnly,
    Threshold: recordedOnly,
    ThresholdMetricId: recordedOnly,
    TreatMissingData: recordedOnly,
    Unit: recordedOnly,
  },
  'AWS::CloudWatch::CompositeAlarm': {
    ActionsEnabled: recordedOnly,
    AlarmActions: recordedOnly,
    AlarmDescription: recordedOnly,
    AlarmName: recordedOnly,
    AlarmRule: recordedOnly,
    InsufficientDataActions: recordedOnly,
    OKActions: recordedOnly,
    Tags: metadataOnly,
  },
  'AWS::CloudWatch::Dashboard': { DashboardBody: recordedOnly, DashboardName: recordedOnly },
  'AWS::ApiGateway::Account': { CloudWatchRoleArn: notEnforced },
  'AWS::CDK::Metadata': { Analytics: metadataOnly },
} as const satisfies Record<string, PropertyRules>;

/** Service and resource part of the ARN, for types with an ARN. */
const arns: Readonly<Record<string, (name: string) => readonly [service: string, resource: string]>> = {
  'AWS::IAM::Role': (name) => ['iam', `role/${name}`],
  'AWS::IAM::ManagedPolicy': (name) => ['iam', `policy/${name}`],
  'AWS::Logs::LogGroup': (name) => ['logs', `log-group:${name}:*`],
  'AWS::SNS::Topic': (name) => ['sns', name],
  'AWS::CloudWatch::Alarm': (name) => ['cloudwatch', `alarm:${name}`],
  'AWS::CloudWatch::CompositeAlarm': (name) => ['cloudwatch', `alarm:${name}`],
};
/** Types whose `Ref` is the ARN instead of the name. */
const refIsArn = ['AWS::SNS::Topic', 'AWS::IAM::ManagedPolicy'];

export const createAcceptedEngine = (context: CloudContext): ResourceEngine => ({
  types,
  create: (resource: ResolvedResource): ResourceIdentity => {
    const { partition, region, accountId, stackName } = context;
    const name = asString(resource.properties.LogGroupName) ?? `${stackName}-${resource.logicalId}`;
    const parts = arns[resource.type]?.(name);
    if (parts === undefined) return { ref: name, attributes: {} };
    const [service, rest] = parts;
    const arn = `arn:${partition}:${service}:${service === 'iam' ? '' : region}:${accountId}:${rest}`;
    const attributes = {
      Arn: arn,
      ...(resource.type === 'AWS::IAM::Role' && { RoleId: name }),
      ...(resource.type === 'AWS::SNS::Topic' && { TopicArn: arn, TopicName: name }),
    };
    return { ref: refIsArn.includes(resource.type) ? arn : name, attributes };
  },
});
