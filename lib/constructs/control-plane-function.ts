import { Duration } from 'aws-cdk-lib';
import type { ITable } from 'aws-cdk-lib/aws-dynamodb';
import type { IEventBus } from 'aws-cdk-lib/aws-events';
import { Policy, PolicyDocument, PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import {
  Architecture,
  Code,
  Function as Lambda,
  LoggingFormat,
  Runtime,
  SystemLogLevel,
  Tracing,
} from 'aws-cdk-lib/aws-lambda';
import type { ILogGroup } from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';
import type { StateMachineName } from '../../core/contract/deployment.ts';
import type { FunctionSpec } from '../function-specs.ts';
import { acknowledge } from './acknowledge.ts';
import { conversionRulesFinding } from './events.ts';
import type { HostLink } from './host-link.ts';
import type { Secrets } from './secrets.ts';

export interface ControlPlaneFunctionProps {
  /** Name of its folder in `functions/`. */
  readonly functionName: string;
  readonly spec: FunctionSpec;
  /** Folder with `index.mjs`. */
  readonly assetDirectory: string;
  /** Environment variables, by their names. */
  readonly environment: Readonly<Record<string, string>>;
  readonly table: ITable;
  readonly bus: IEventBus;
  readonly hostLink: HostLink;
  readonly secrets: Secrets;
  /** @default none reserved */
  readonly reservedConcurrency?: number;
  readonly logs: ILogGroup;
  /** Permissions that its triggers need: to read a stream, to send failed records to a queue. */
  readonly additionalStatements?: readonly PolicyStatement[];
}

const tableStatements = (spec: FunctionSpec, table: ITable): PolicyStatement[] => {
  const statements: PolicyStatement[] = [];
  if (spec.table.length > 0) {
    statements.push(
      new PolicyStatement({
        actions: spec.table.map((action) => `dynamodb:${action}`),
        resources: [table.tableArn],
      }),
    );
  }
  if (spec.indexes.length > 0) {
    statements.push(
      new PolicyStatement({
        actions: ['dynamodb:Query'],
        resources: spec.indexes.map((index) => `${table.tableArn}/index/${index}`),
      }),
    );
  }
  return statements;
};

const statementsOf = (props: ControlPlaneFunctionProps): PolicyStatement[] => {
  const { spec, logs } = props;
  const allow = (action: string, resource: string) =>
    new PolicyStatement({ actions: [action], resources: [resource] });
  return [
    new PolicyStatement({
      actions: ['logs:CreateLogStream', 'logs:PutLogEvents'],
      resources: [logs.logGroupArn],
    }),
    ...(spec.traced
      ? [
          new PolicyStatement({
            actions: ['xray:PutTraceSegments', 'xray:PutTelemetryRecords'],
            resources: ['*'],
          }),
        ]
      : []),
    ...tableStatements(spec, props.table),
    ...spec.connections.map((method) =>
      allow('execute-api:ManageConnections', props.hostLink.connectionsArn(method)),
    ),
    ...(spec.publishesEvents ? [allow('events:PutEvents', props.bus.eventBusArn)] : []),
    ...spec.secrets.map((key) => allow('secretsmanager:GetSecretValue', props.secrets.of[key].secretArn)),
    ...(props.additionalStatements ?? []),
  ];
};

/**
 * One Lambda function with its own role, which has exactly the permissions in its spec.
 *
 * {@link grantStateMachines} adds the permissions on state machines later, in a policy that the function does not depend
 * on: a machine refers to the functions that answer its tasks, and CloudFormation does not allow cycles.
 */
export class ControlPlaneFunction extends Construct {
  readonly lambda: Lambda;
  readonly spec: FunctionSpec;
  readonly #role: Role;

  constructor(scope: Construct, props: ControlPlaneFunctionProps) {
    super(scope, props.functionName);
    const { spec } = props;
    this.spec = spec;
    this.#role = new Role(this, 'Role', {
      assumedBy: new ServicePrincipal('lambda.amazonaws.com'),
      inlinePolicies: { grants: new PolicyDocument({ statements: statementsOf(props) }) },
    });
    this.lambda = new Lambda(this, 'Function', {
      description: spec.description,
      code: Code.fromAsset(props.assetDirectory),
      handler: 'index.handler',
      runtime: Runtime.NODEJS_24_X,
      architecture: Architecture.ARM_64,
      memorySize: spec.memoryMB,
      timeout: Duration.seconds(spec.timeoutSeconds),
      reservedConcurrentExecutions: props.reservedConcurrency,
      tracing: spec.traced ? Tracing.ACTIVE : Tracing.PASS_THROUGH,
      loggingFormat: LoggingFormat.JSON,
      // Lambda reports only invocations that failed. Reports of the others cost more than a heartbeat's invocation.
      systemLogLevelV2: SystemLogLevel.WARN,
      logGroup: props.logs,
      // The role is complete. Other constructs must not add permissions to it.
      role: this.#role.withoutPolicyUpdates(),
      environment: { ...props.environment },
    });
    this.#acknowledge(props);
  }

  /**
   * Grants the permissions on state machines in the spec.
   *
   * @param arns the machines that functions start
   * @param answered the machines whose tasks functions answer
   */
  grantStateMachines(arns: Readonly<Record<StateMachineName, string>>, answered: readonly string[]): void {
    const { starts, answersTasks } = this.spec;
    const statements: PolicyStatement[] = [];
    if (starts.length > 0) {
      statements.push(
        new PolicyStatement({
          actions: ['states:StartExecution'],
          resources: starts.map((machine) => arns[machine]),
        }),
      );
    }
    if (answersTasks.length > 0) {
      statements.push(
        new PolicyStatement({
          actions: answersTasks.map((answer) => `states:${answer}`),
          resources: [...answered],
        }),
      );
    }
    if (statements.length === 0) return;
    new Policy(this, 'StateMachines', { roles: [this.#role], statements });
  }

  #acknowledge(props: ControlPlaneFunctionProps): void {
    acknowledge(
      this.#role,
      'X-Ray’s write actions, and ListStreams, have no resource type: IAM takes only * for them.',
      'AwsSolutions-IAM5[Resource::*]',
    );
    if (this.spec.managesRules)
      acknowledge(
        this.#role,
        'A rule’s name is known only once a tenant creates it; the grant covers the rules of this bus with the same prefix.',
        conversionRulesFinding(props.bus),
      );
    if (this.spec.connections.length === 0) return;
    acknowledge(
      this.#role,
      'A connection’s id is known only once a host has connected; the grant covers the connections of this stage.',
      ...this.spec.connections.map((method) => props.hostLink.connectionsFinding(method)),
    );
  }
}
