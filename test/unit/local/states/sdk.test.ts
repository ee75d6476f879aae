import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import {
  DescribeExecutionCommand,
  ExecutionAlreadyExists,
  GetExecutionHistoryCommand,
  InvalidToken,
  SendTaskHeartbeatCommand,
  SFNClient,
  StartExecutionCommand,
} from '@aws-sdk/client-sfn';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Harness, machineArn } from './harness.ts';

const harness = new Harness();
let server: Server;
let client: SFNClient;

beforeAll(async () => {
  server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = JSON.parse(Buffer.concat(chunks).toString());
    const answer = await harness.service.handle(String(request.headers['x-amz-target']), body);
    response.writeHead(answer.status, { 'content-type': 'application/x-amz-json-1.0' });
    response.end(JSON.stringify(answer.body));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  client = new SFNClient({
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    region: 'eu-west-1',
    credentials: { accessKeyId: 'a', secretAccessKey: 's' },
    maxAttempts: 1,
  });
});

afterAll(async () => {
  client.destroy();
  await new Promise((resolve) => server.close(resolve));
  await harness.close();
});

test('the AWS SDK can parse the responses and errors', async () => {
  harness.define({ StartAt: 'P', States: { P: { Type: 'Pass', End: true } } });
  const start = { stateMachineArn: machineArn('machine'), name: 'n', input: '{"a":1}' };
  const { executionArn, startDate } = await client.send(new StartExecutionCommand(start));
  expect(startDate?.getTime()).toBe(harness.clock.now());
  await harness.settle();
  const described = await client.send(new DescribeExecutionCommand({ executionArn }));
  expect(described).toMatchObject({ status: 'SUCCEEDED', output: '{"a":1}', name: 'n' });
  expect(described.stopDate).toBeInstanceOf(Date);
  const { events } = await client.send(new GetExecutionHistoryCommand({ executionArn }));
  expect(events?.[2]?.stateExitedEventDetails).toEqual({
    name: 'P',
    output: '{"a":1}',
    outputDetails: { truncated: false },
  });
  await expect(client.send(new StartExecutionCommand(start))).rejects.toBeInstanceOf(ExecutionAlreadyExists);
  await expect(client.send(new SendTaskHeartbeatCommand({ taskToken: 'x' }))).rejects.toBeInstanceOf(
    InvalidToken,
  );
});
