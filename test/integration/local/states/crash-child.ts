/**
 * A process that hosts the service until it is killed. crash.test.ts restarts it repeatedly on one directory. Its
 * functions append a line for each call to files there. Arguments: directory, number of executions.
 */
import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createStatesService } from '../../../../local/states/index.ts';
import { ACCOUNT, FUNCTION, machineArn, REGION } from '../../../unit/local/states/harness.ts';

const [directory = '.', count = '1'] = process.argv.slice(2);
const mark = (file: string, line: object) =>
  appendFileSync(join(directory, file), `${JSON.stringify(line)}\n`);
const marks = (file: string): Record<string, string>[] => {
  const path = join(directory, file);
  if (!existsSync(path)) return [];
  // A kill may have truncated the last line.
  return readFileSync(path, 'utf8')
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line));
};

const call = {
  FunctionName: FUNCTION,
  Payload: { 'execution.$': '$$.Execution.Name', 'step.$': '$$.State.Name' },
};
const definition = {
  StartAt: 'Begin',
  States: {
    Begin: { Type: 'Pass', Assign: { 'name.$': '$$.Execution.Name' }, Next: 'First' },
    First: {
      Type: 'Task',
      Resource: 'arn:aws:states:::lambda:invoke',
      Parameters: call,
      ResultPath: null,
      Next: 'Rest',
    },
    Rest: { Type: 'Wait', Seconds: 1, Next: 'Each' },
    Each: {
      Type: 'Map',
      ItemsPath: '$.items',
      MaxConcurrency: 2,
      ItemProcessor: {
        StartAt: 'Work',
        States: {
          Work: {
            Type: 'Task',
            Resource: 'arn:aws:states:::lambda:invoke',
            Parameters: { ...call, Payload: { ...call.Payload, 'item.$': '$' } },
            OutputPath: '$.Payload',
            End: true,
          },
        },
      },
      ResultPath: '$.worked',
      Next: 'Ask',
    },
    Ask: {
      Type: 'Task',
      Resource: 'arn:aws:states:::lambda:invoke.waitForTaskToken',
      Parameters: { ...call, Payload: { ...call.Payload, 'token.$': '$$.Task.Token' } },
      TimeoutSeconds: 600,
      ResultPath: '$.answer',
      End: true,
    },
  },
};

const service = createStatesService({
  databaseFile: join(directory, 'states.sqlite'),
  region: REGION,
  accountId: ACCOUNT,
  invokeLambda: async (_arn, payload) => {
    const request = payload as Record<string, string>;
    mark('invocations', request);
    await sleep(Math.random() * 20);
    return request.item ?? null;
  },
  onStatusChange: async (event) => {
    mark('status', { execution: event.detail.name, status: event.detail.status });
  },
});
const request = async (operation: string, body: object) =>
  (await service.handle(`AWSStepFunctions.${operation}`, body)) as {
    status: number;
    body: Record<string, unknown>;
  };

service.createStateMachine({
  name: 'crash',
  arn: machineArn('crash'),
  definition: JSON.stringify(definition),
  roleArn: 'arn:aws:iam::1:role/r',
});
await service.resume();
process.stdout.write('ready\n');
for (let i = 0; i < Number(count); i++) {
  const input = JSON.stringify({ items: [1, 2, 3] });
  await request('StartExecution', { stateMachineArn: machineArn('crash'), name: `e${i}`, input });
}
while (service.counters.openExecutions > 0 || service.counters.pendingStatusChanges > 0) {
  await sleep(20);
  for (const { token, execution } of marks('invocations')) {
    if (token)
      await request('SendTaskSuccess', { taskToken: token, output: JSON.stringify(`to ${execution}`) });
  }
}
const ended: object[] = [];
for (let i = 0; i < Number(count); i++) {
  const executionArn = `${machineArn('crash').replace('stateMachine', 'execution')}:e${i}`;
  const { body } = await request('DescribeExecution', { executionArn });
  const history = await request('GetExecutionHistory', { executionArn, maxResults: 1000 });
  ended.push({ ...body, events: history.body.events, transitions: service.transitionsOf(executionArn) });
}
await service.close();
process.stdout.write(`${JSON.stringify(ended)}\n`);
