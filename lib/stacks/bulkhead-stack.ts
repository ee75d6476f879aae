import { CfnOutput, Stack, type StackProps } from 'aws-cdk-lib';
import type { Construct } from 'constructs';
import { BulkheadControlPlane, type BulkheadControlPlaneProps } from '../constructs/control-plane.ts';

export interface BulkheadStackProps extends StackProps {
  readonly controlPlane: BulkheadControlPlaneProps;
}

/** The control plane as a stack of its own, with what others need to know of it as outputs. */
export class BulkheadStack extends Stack {
  readonly controlPlane: BulkheadControlPlane;

  constructor(scope: Construct, id: string, { controlPlane, ...props }: BulkheadStackProps) {
    super(scope, id, { description: 'Bulkhead: a control plane for containers', ...props });
    this.controlPlane = new BulkheadControlPlane(this, 'ControlPlane', controlPlane);
    const { api, hostLink, events, data, cognito, conversionByRule } = this.controlPlane;
    this.#output('ApiUrl', 'The HTTPS API', api.url);
    this.#output('WebSocketUrl', 'Where agents connect', hostLink.url);
    this.#output('EventBusName', 'What happens is told here', events.bus.eventBusName);
    this.#output(
      'ConversionStateMachineArn',
      'Target of rules, schedules and pipes that convert containers',
      conversionByRule.machine.ref,
    );
    this.#output('TableName', 'The table', data.table.tableName);
    if (cognito === undefined) return;
    this.#output('Issuer', 'Issuer of the tokens', cognito.issuer);
    this.#output('TokenUrl', 'Where clients get tokens', cognito.tokenUrl);
    this.#output(
      'ClientId',
      'A client that may get tokens; its secret is shown by Cognito',
      cognito.clientId,
    );
  }

  #output(id: string, description: string, value: string): void {
    new CfnOutput(this, id, { description, value });
  }
}
