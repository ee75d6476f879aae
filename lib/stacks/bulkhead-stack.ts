import { CfnOutput, Stack, type StackProps } from 'aws-cdk-lib';
import type { Construct } from 'constructs';
import { BulkheadControlPlane, type BulkheadControlPlaneProps } from '../constructs/control-plane.ts';

export interface BulkheadStackProps extends StackProps {
  readonly controlPlane: BulkheadControlPlaneProps;
}

/** The control plane as a stack, with its addresses as outputs. */
export class BulkheadStack extends Stack {
  readonly controlPlane: BulkheadControlPlane;

  constructor(scope: Construct, id: string, { controlPlane, ...props }: BulkheadStackProps) {
    super(scope, id, { description: 'Bulkhead: a control plane for containers', ...props });
    this.controlPlane = new BulkheadControlPlane(this, 'ControlPlane', controlPlane);
    const { api, hostLink, events, data, cognito, conversionByRule } = this.controlPlane;
    this.#output('ApiUrl', 'The HTTPS API', api.url);
    this.#output('WebSocketUrl', 'The WebSocket API that agents connect to', hostLink.url);
    this.#output('EventBusName', 'The bus for Bulkhead’s events', events.bus.eventBusName);
    this.#output(
      'ConversionStateMachineArn',
      'Target for rules, schedules and pipes that convert containers',
      conversionByRule.machine.ref,
    );
    this.#output('TableName', 'The table', data.table.tableName);
    if (cognito === undefined) return;
    this.#output('Issuer', 'Issuer of the tokens', cognito.issuer);
    this.#output('TokenUrl', 'The token endpoint for clients', cognito.tokenUrl);
    this.#output('ClientId', 'A client that can get tokens; Cognito shows its secret', cognito.clientId);
  }

  #output(id: string, description: string, value: string): void {
    new CfnOutput(this, id, { description, value });
  }
}
