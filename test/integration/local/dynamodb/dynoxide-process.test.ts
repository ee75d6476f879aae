import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, expect, jest, test } from '@jest/globals';
import { createDynamoClient } from '../../../../local/dynamodb/dynamo-client.ts';
import {
  type DynoxideProcess,
  findDynoxide,
  startDynoxide,
} from '../../../../local/dynamodb/dynoxide-process.ts';
import { ExpiryIndex } from '../../../../local/dynamodb/expire-items.ts';
import { createStreamIndexes } from '../../../../local/dynamodb/stream-indexes.ts';
import { identifyProcess, isSameProcess } from '../../../../local/process-identity.ts';
import {
  removeTemporaryDirectories,
  silentLog,
  soon,
  temporaryDirectory,
} from '../../../helpers/local-fixtures.ts';

// `soon` limits waits.
jest.setTimeout(30_000);

const running: DynoxideProcess[] = [];
const start = async (stateDir: string): Promise<DynoxideProcess> => {
  const dynoxide = await startDynoxide(stateDir, silentLog);
  running.push(dynoxide);
  return dynoxide;
};
afterEach(async () => {
  for (const dynoxide of running.splice(0)) await dynoxide.stop();
});
afterAll(removeTemporaryDirectories);

test('a process that an earlier run left behind is ended, and its port is kept', async () => {
  const stateDir = temporaryDirectory();
  const first = await start(stateDir);
  await first.stop();
  mkdirSync(join(stateDir, 'dynamodb'), { recursive: true });
  const port = Number(new URL(first.endpoint).port);
  const left = spawn(findDynoxide(), ['--port', String(port), '--db-path', first.databaseFile], {
    stdio: 'ignore',
  });
  const gone = new Promise((resolve) => left.once('exit', (_code, signal) => resolve(signal)));
  const identity = await soon(() => {
    const found = identifyProcess(left.pid ?? 0);
    return found?.executable === findDynoxide() ? found : undefined;
  });
  writeFileSync(join(stateDir, 'dynoxide.json'), JSON.stringify({ process: identity, ports: [port, 0] }));
  const second = await start(stateDir);
  expect(await gone).toBe('SIGKILL');
  const [before, after] = [new URL(first.endpoint), new URL(second.endpoint)];
  expect(after.port).toBe(before.port);
  // Each process listens on a different loopback address that a web page cannot guess.
  for (const { hostname } of [before, after]) expect(hostname).toMatch(/^127\.(?!0\.0\.1$)/);
});

test('an unrelated process with the same id is not ended', async () => {
  const stateDir = temporaryDirectory();
  const unrelated = spawn('/bin/sleep', ['60'], { stdio: 'ignore' });
  const identity = await soon(() => identifyProcess(unrelated.pid ?? 0));
  const recorded = { ...identity, startTime: '1', executable: findDynoxide() };
  writeFileSync(join(stateDir, 'dynoxide.json'), JSON.stringify({ process: recorded, ports: [0, 0] }));
  await start(stateDir);
  expect(existsSync(`/proc/${unrelated.pid}`)).toBe(true);
  unrelated.kill('SIGKILL');
});

test('a process is identified by start time and program, not only by its id', () => {
  const own = identifyProcess(process.pid);
  if (own === undefined) throw new TypeError('this test needs /proc');
  expect(isSameProcess(own)).toBe(true);
  expect(isSameProcess({ ...own, startTime: '0' })).toBe(false);
  expect(isSameProcess({ ...own, executable: '/bin/other' })).toBe(false);
});

test('indexes can be created repeatedly while the process runs, and show what has expired', async () => {
  const { endpoint, databaseFile } = await start(temporaryDirectory());
  const client = createDynamoClient(endpoint);
  await client.call('CreateTable', {
    TableName: 'items',
    BillingMode: 'PAY_PER_REQUEST',
    AttributeDefinitions: [{ AttributeName: 'pk', AttributeType: 'S' }],
    KeySchema: [{ AttributeName: 'pk', KeyType: 'HASH' }],
  });
  for (let round = 0; round < 2; round += 1) createStreamIndexes(databaseFile);
  const index = new ExpiryIndex(databaseFile);
  for (let round = 0; round < 2; round += 1) index.add('items', 'expires');
  const put = (pk: string, expires?: string) =>
    client.call('PutItem', {
      TableName: 'items',
      Item: { pk: { S: pk }, ...(expires && { expires: { N: expires } }) },
    });
  await put('never');
  await put('later', '2000');
  expect(index.hasExpired(1_500_000)).toBe(false);
  await put('now', '1000');
  expect(index.hasExpired(1_500_000)).toBe(true);
  index.close();
  client.close();
});
