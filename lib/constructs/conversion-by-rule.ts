import { Stack } from 'aws-cdk-lib';
import { CfnRule, type IEventBus } from 'aws-cdk-lib/aws-events';
import { PolicyDocument, PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import type { IFunction } from 'aws-cdk-lib/aws-lambda';
import type { ILogGroup } from 'aws-cdk-lib/aws-logs';
import type { Queue } from 'aws-cdk-lib/aws-sqs';
import type { CfnStateMachine } from 'aws-cdk-lib/aws-stepfunctions';
import { Construct } from 'constructs';
import { CONVERSION_REQUESTED } from '../../core/contract/conversion-rule.ts';
import { EVENT_RULE_PREFIX } from '../../core/contract/deployment.ts';
import { buildRuleDefinition } from '../state-machines/convert-by-rule.machine.ts';
import type { RuleArns } from './functions.ts';
import { makeStateMachine } from './orchestration.ts';

export interface ConversionByRuleProps {
  readonly run: IFunction;
  readonly bus: IEventBus;
  readonly deadLetters: Queue;
  readonly logs: ILogGroup;
}

/**
 * Conversion by events: the state machine that rules start, the role with which EventBridge starts it (tenants' rules
 * use the same one), and the deployment's own rule for events that request a conversion.
 */
export class ConversionByRule extends Construct {
  readonly machine: CfnStateMachine;
  readonly arns: RuleArns;
  readonly requests: CfnRule;

  constructor(scope: Construct, id: string, props: ConversionByRuleProps) {
    super(scope, id);
    const stack = Stack.of(this);
    this.machine = makeStateMachine(this, {
      definition: buildRuleDefinition({ run: props.run.functionArn }, stack.partition),
      called: [props.run],
      logs: props.logs,
    });
    const role = new Role(this, 'EventsRole', {
      description: 'EventBridge starts conversions by rule',
      assumedBy: new ServicePrincipal('events.amazonaws.com'),
      inlinePolicies: {
        start: new PolicyDocument({
          statements: [
            new PolicyStatement({ actions: ['states:StartExecution'], resources: [this.machine.ref] }),
          ],
        }),
      },
    });
    this.arns = {
      ruleMachine: this.machine.ref,
      ruleRole: role.roleArn,
      ruleDeadLetters: props.deadLetters.queueArn,
    };
    this.requests = new CfnRule(this, 'Requests', {
      // Has the prefix of conversion rules, so that it can use their queue.
      name: `${EVENT_RULE_PREFIX}requests`,
      description: 'Events that request a conversion',
      eventBusName: props.bus.eventBusName,
      eventPattern: { 'detail-type': [CONVERSION_REQUESTED] },
      targets: [
        {
          id: 'convert-by-rule',
          arn: this.machine.ref,
          roleArn: role.roleArn,
          retryPolicy: { maximumEventAgeInSeconds: 3600, maximumRetryAttempts: 185 },
          deadLetterConfig: { arn: props.deadLetters.queueArn },
        },
      ],
    });
  }
}
