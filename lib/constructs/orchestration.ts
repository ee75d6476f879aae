import { type RemovalPolicy, Stack } from 'aws-cdk-lib';
import { PolicyDocument, PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import type { IFunction } from 'aws-cdk-lib/aws-lambda';
import { type ILogGroup, LogGroup, type RetentionDays } from 'aws-cdk-lib/aws-logs';
import { CfnStateMachine } from 'aws-cdk-lib/aws-stepfunctions';
import { Construct } from 'constructs';
import { STEPS, type StateMachineName } from '../../core/contract/deployment.ts';
import { MACHINE_SPECS } from '../state-machines/index.ts';
import { buildDefinition, type MachineSpec } from '../state-machines/machine.ts';
import { acknowledge } from './acknowledge.ts';

export interface OrchestrationProps {
  readonly place: IFunction;
  readonly dispatch: IFunction;
  readonly settle: IFunction;
  readonly logRetention: RetentionDays;
  readonly removalPolicy: RemovalPolicy;
}

/** Step Functions writes logs through log delivery, whose actions have no resource type. */
const LOG_DELIVERY = [
  'logs:CreateLogDelivery',
  'logs:GetLogDelivery',
  'logs:UpdateLogDelivery',
  'logs:DeleteLogDelivery',
  'logs:ListLogDeliveries',
  'logs:PutResourcePolicy',
  'logs:DescribeResourcePolicies',
  'logs:DescribeLogGroups',
];
const TRACES = [
  'xray:PutTraceSegments',
  'xray:PutTelemetryRecords',
  'xray:GetSamplingRules',
  'xray:GetSamplingTargets',
];

/** The workflows: one Standard state machine each, with its own role that can invoke its functions. */
export class Orchestration extends Construct {
  readonly machines: Readonly<Record<StateMachineName, CfnStateMachine>>;
  readonly arns: Readonly<Record<StateMachineName, string>>;
  /** The log of all state machines. */
  readonly logs: LogGroup;

  constructor(scope: Construct, id: string, props: OrchestrationProps) {
    super(scope, id);
    this.logs = new LogGroup(this, 'Logs', {
      retention: props.logRetention,
      removalPolicy: props.removalPolicy,
    });
    const machines: Partial<Record<StateMachineName, CfnStateMachine>> = {};
    for (const spec of MACHINE_SPECS) machines[spec.name] = this.#makeMachine(spec, props);
    this.machines = machines as Record<StateMachineName, CfnStateMachine>;
    this.arns = Object.fromEntries(
      Object.entries(this.machines).map(([name, machine]) => [name, machine.ref]),
    ) as Record<StateMachineName, string>;
  }

  #makeMachine(spec: MachineSpec, props: OrchestrationProps): CfnStateMachine {
    const places = spec.steps.includes(STEPS.place);
    const dispatches = spec.undo || spec.steps.length > 0;
    const called = [props.settle, ...(dispatches ? [props.dispatch] : []), ...(places ? [props.place] : [])];
    const functions = {
      place: props.place.functionArn,
      dispatch: props.dispatch.functionArn,
      settle: props.settle.functionArn,
    };
    const definition = buildDefinition(spec, functions, Stack.of(this).partition);
    return makeStateMachine(new Construct(this, spec.name), { definition, called, logs: this.logs });
  }
}

export interface MachineProps {
  readonly definition: object;
  /** Functions that it calls. */
  readonly called: readonly IFunction[];
  readonly logs: ILogGroup;
}

/** A Standard state machine with its own role. */
export const makeStateMachine = (
  scope: Construct,
  { definition, called, logs }: MachineProps,
): CfnStateMachine => {
  const role = new Role(scope, 'Role', {
    assumedBy: new ServicePrincipal('states.amazonaws.com'),
    inlinePolicies: {
      grants: new PolicyDocument({
        statements: [
          new PolicyStatement({
            actions: ['lambda:InvokeFunction'],
            resources: called.map((one) => one.functionArn),
          }),
          new PolicyStatement({ actions: [...LOG_DELIVERY, ...TRACES], resources: ['*'] }),
        ],
      }),
    },
  });
  acknowledge(
    role,
    'Log delivery and X-Ray have no resource types: IAM accepts only * for them.',
    'AwsSolutions-IAM5[Resource::*]',
  );
  const resource = new CfnStateMachine(scope, 'StateMachine', {
    stateMachineType: 'STANDARD',
    roleArn: role.roleArn,
    definitionString: Stack.of(scope).toJsonString(definition),
    tracingConfiguration: { enabled: true },
    loggingConfiguration: {
      // Step Functions keeps the execution history for 90 days anyway, and data may contain task tokens.
      level: 'ERROR',
      includeExecutionData: false,
      destinations: [{ cloudWatchLogsLogGroup: { logGroupArn: logs.logGroupArn } }],
    },
  });
  acknowledge(
    resource,
    'Step Functions keeps the whole history of each execution for 90 days; logging it all again doubles its cost.',
    'AwsSolutions-SF1',
  );
  return resource;
};
