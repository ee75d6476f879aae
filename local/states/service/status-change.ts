import type { Execution } from '../interpreter/model.ts';
import type { Json, JsonObject } from '../json.ts';
import type { StatusChangeEvent } from './options.ts';

/** The EventBridge event for an execution's current status. */
export const statusChangeEvent = (
  execution: Execution,
  where: { region: string; accountId: string },
  id: string,
): StatusChangeEvent => {
  const included = (value: Json) => (value === null ? null : { included: true });
  const detail: JsonObject = {
    executionArn: execution.arn,
    stateMachineArn: execution.machine.arn,
    name: execution.name,
    status: execution.status,
    startDate: execution.startedAt,
    stopDate: execution.stoppedAt,
    input: execution.input,
    output: execution.output,
    stateMachineVersionArn: null,
    stateMachineAliasArn: null,
    redriveCount: 0,
    redriveDate: null,
    redriveStatus: 'NOT_REDRIVABLE',
    redriveStatusReason:
      execution.status === 'RUNNING'
        ? 'Execution is RUNNING and cannot be redriven'
        : 'Redriving is not supported',
    inputDetails: included(execution.input),
    outputDetails: included(execution.output),
    error: execution.error,
    cause: execution.cause,
  };
  return {
    version: '0',
    id,
    'detail-type': 'Step Functions Execution Status Change',
    source: 'aws.states',
    account: where.accountId,
    time: new Date(execution.stoppedAt ?? execution.startedAt).toISOString().replace(/\.\d+Z$/, 'Z'),
    region: where.region,
    resources: [execution.arn],
    detail,
  };
};
