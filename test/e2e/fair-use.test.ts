import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { keyFileOf } from '../../bin/local/token.ts';
import { Client, waitForSuccess } from '../../core/client/index.ts';
import { type AcceptedSchema, ROUTES, type Route, SCOPES } from '../../core/contract/http/routes.ts';
import { issueToken } from '../../local/identity/issue-token.ts';
import { loadSigningKey } from '../../local/identity/signing-key.ts';
import { type LocalCloud, startLocalCloud, waitForHosts } from '../helpers/local-cloud.ts';

/**
 * A tenant floods all routes and all the rules that it can have, on the system with its deployed limits. Another tenant works at
 * the same time. The test counts answers and measures no times.
 */
const FAIR_SHARE = { requestsPerSecond: 20, requestBurst: 40, waitShare: 0.25, waitBurstSeconds: 2 };
const AT_ONCE = 30;
const ROUNDS = 2;

type Accepted = (typeof AcceptedSchema)['_zod']['output'];

let cloud: LocalCloud;
let hostile: string;

beforeAll(async () => {
  const given = { fairShare: JSON.stringify(FAIR_SHARE), reservedConcurrency: 'true', rulesPerTenant: '3' };
  const context = Object.entries(given).flatMap(([key, value]) => ['--context', `${key}=${value}`]);
  cloud = await startLocalCloud({ simulate: 1, arguments: context });
  await waitForHosts(cloud, 1);
  const key = await loadSigningKey(keyFileOf(cloud.stateDir));
  hostile = await issueToken(
    { key, now: Date.now, newId: randomUUID },
    { tenant: 'mallory', scopes: SCOPES, subject: 'mallory', expiresInSeconds: 3600 },
  );
}, 120_000);
afterAll(async () => {
  await cloud?.stop();
}, 30_000);

const BODIES: Readonly<Record<string, object>> = {
  createContainer: { image: 'mini' },
  execInContainer: { command: ['true'] },
  importImage: { name: 'mini', hostId: randomUUID(), source: { path: '/srv/x' } },
  testConversionRule: { event: { source: 'scanner', 'detail-type': 'Finding', detail: {} } },
};
const RULE = {
  eventPattern: { 'detail-type': [{ 'anything-but': 'x' }] },
  select: { name: '{% $error($string($)) %}' },
  runtimeType: 'Default',
};

const attack = (route: Route, containerId: string) => {
  const path = route.path
    .replace('{idOrName}', containerId)
    .replace('{name}', `rule-${Math.floor(Math.random() * 5)}`)
    .replace('{name+}', 'mini')
    .replace(/\{\w+\}/g, containerId);
  const body = route.operationId === 'putConversionRule' ? RULE : BODIES[route.operationId];
  return cloud.call(route.method, route.operationId === 'getOperation' ? `${path}?waitSeconds=25` : path, {
    token: hostile,
    ...(route.body === undefined ? {} : { body: body ?? {} }),
  });
};

test('a tenant that floods every route and rule does not affect another tenant', async () => {
  let turnedAway = 0;
  const onThrottled = () => {
    turnedAway += 1;
  };
  const client = new Client({ apiUrl: cloud.apiUrl, token: cloud.token, fetch, onThrottled });
  const { container, operation } = (await client.call('createContainer', {
    body: { name: 'mine', image: 'nanoserver' },
  })) as Accepted;
  await waitForSuccess(client, operation);
  const statuses = new Map<number, number>();
  let isOver = false;
  const flood = async (): Promise<void> => {
    const routes = ROUTES.filter(({ scope }) => scope !== null);
    for (let round = 0; round < ROUNDS; round += 1)
      for (const route of routes) {
        const answers = await Promise.all(Array.from({ length: AT_ONCE }, () => attack(route, container.id)));
        for (const { status } of answers) statuses.set(status, (statuses.get(status) ?? 0) + 1);
      }
    isOver = true;
  };
  let cycles = 0;
  const work = async (): Promise<void> => {
    const params = { idOrName: 'mine' };
    for (; !isOver; cycles += 1) {
      for (const verb of ['startContainer', 'stopContainer'] as const) {
        const accepted = (await client.call(verb, { params })) as Accepted;
        await waitForSuccess(client, accepted.operation);
      }
      const read = await client.call('getContainer', { params });
      expect(read).toMatchObject({ id: container.id, state: 'Off', runtimeType: 'Default' });
    }
  };
  await Promise.all([flood(), work()]);
  expect(cycles).toBeGreaterThan(0);
  expect(turnedAway).toBe(0);
  expect(statuses.get(429)).toBeGreaterThan(0);
  expect(statuses.get(500) ?? 0).toBe(0);
  const rules = await cloud.call('GET', '/v1/conversion-rules', { token: hostile });
  if (rules.status === 200) expect(rules.body.items.length).toBeLessThanOrEqual(3);
  for (const { name } of rules.body.items ?? []) {
    const runs = await cloud.call('GET', `/v1/conversion-rules/${name}/runs`, { token: hostile });
    expect(runs.text).not.toContain(container.id);
  }
}, 400_000);
