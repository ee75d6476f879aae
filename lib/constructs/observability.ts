import type { ITopic } from 'aws-cdk-lib/aws-sns';
import { Construct } from 'constructs';
import type { BulkheadControlPlane } from './control-plane.ts';

export interface ObservabilityProps {
  readonly controlPlane: BulkheadControlPlane;
  readonly alarmTopic?: ITopic;
  readonly runbookUrl: string;
}

/** Alarms and a dashboard. */
export class Observability extends Construct {
  constructor(scope: Construct, id: string, _props: ObservabilityProps) {
    super(scope, id);
  }
}
