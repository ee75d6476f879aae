import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { FairShareLimits } from '../../../core/contract/fair-share.ts';
import { ROUTES } from '../../../core/contract/http/routes.ts';
import { FairShare } from '../../../functions/shared/http/fair-share.ts';
import { containerItem } from '../../../store/containers.ts';
import { hostItem } from '../../../store/hosts.ts';
import { createItem } from '../../../store/item-format.ts';
import { keys } from '../../../store/keys.ts';
import { operationItem } from '../../../store/operations.ts';
import { createApi } from '../../helpers/api.ts';
import { type Engine, startEngine } from '../../helpers/dynoxide.ts';
import { type SimulatedRequest, simulateInstances } from '../../helpers/function-instances.ts';
import { containerRecord, hostRecord, operationRecord, TENANT, testId } from '../../helpers/records.ts';

const LIMITS: FairShareLimits = {
  requestsPerSecond: 50,
  requestBurst: 1000,
  waitShare: 0.25,
  waitBurstSeconds: 25,
};
const SECONDS = 60;

/** The same pseudo-random sequence in each run, so that the counts are reproducible. */
const seeded = (seed: number) => {
  let state = seed;
  return () => {
    state = (state * 1_664_525 + 1_013_904_223) % 4_294_967_296;
    return state / 4_294_967_296;
  };
};
const every = (ms: number, tenant: string, waitSeconds: number): SimulatedRequest[] =>
  Array.from({ length: (SECONDS * 1000) / ms }, (_, index) => ({ atMs: index * ms, tenant, waitSeconds }));
/** Tenant A requests waits of 25 s, 500 times a second; tenant B waits of 2 s, once a second. */
const FLOOD = [...every(2, 'a', 25), ...every(1000, 'b', 2)].sort((one, other) => one.atMs - other.atMs);
const answeredOf = (tenant: string, { served }: ReturnType<typeof simulateInstances>) =>
  served.filter(({ request, outcome }) => request.tenant === tenant && outcome === 'answered');

describe('a tenant that requests waits of 25 s 500 times a second, and another with one request a second', () => {
  test.each([1, 2, 3])(
    'the first occupies no more than its share of 100 reserved instances (seed %d)',
    (seed) => {
      const simulation = simulateInstances(FLOOD, 100, LIMITS, seeded(seed));
      expect(simulation.mostHeld('a')).toBeLessThanOrEqual(100);
      expect(simulation.meanHeld('a')).toBeLessThanOrEqual(50);
      expect(answeredOf('b', simulation).length).toBeGreaterThanOrEqual(SECONDS - 4);
    },
  );

  test.each([1, 2, 3])(
    'the first occupies hundreds of unreserved instances, not 12,500 (seed %d)',
    (seed) => {
      const simulation = simulateInstances(FLOOD, 1000, LIMITS, seeded(seed));
      expect(simulation.mostHeld('a')).toBeLessThanOrEqual(600);
      expect(simulation.meanHeld('a')).toBeLessThanOrEqual(200);
      expect(answeredOf('b', simulation)).toHaveLength(SECONDS);
    },
  );

  test('without limits the other gets almost no responses, so the simulation shows the fault', () => {
    const unlimited = { requestsPerSecond: 1e9, requestBurst: 1e9, waitShare: 1, waitBurstSeconds: 1e9 };
    const simulation = simulateInstances(FLOOD, 100, unlimited, seeded(1));
    expect(answeredOf('b', simulation).length).toBeLessThan(10);
  });
});

test('one tenant’s use of an instance does not reduce another tenant’s share', () => {
  const clock = { ms: 0 };
  const step = fc.record({
    ms: fc.integer({ min: 0, max: 5_000 }),
    waits: fc.double({ min: 0, max: 30, noNaN: true }),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 50 }), (steps) => {
      clock.ms = 0;
      const deps = { monotonic: () => clock.ms, random: () => 0.5 };
      const crowded = new FairShare(LIMITS, deps);
      const alone = new FairShare(LIMITS, deps);
      for (const { ms, waits } of steps) {
        clock.ms += ms;
        for (let index = 0; index < 30; index += 1) crowded.takeRequest('a');
        crowded.chargeWait('a', waits);
        expect(crowded.takeRequest('b')).toBe(alone.takeRequest('b'));
        expect(crowded.secondsToWait('b')).toBe(alone.secondsToWait('b'));
      }
    }),
  );
});

test('an instance tracks a limited number of tenants', () => {
  const share = new FairShare({ ...LIMITS, requestBurst: 1 }, { monotonic: () => 0, random: () => 0 });
  expect(share.takeRequest('first')).toBeNull();
  for (let index = 0; index < 1_000; index += 1) share.takeRequest(`tenant-${index}`);
  expect(share.takeRequest('tenant-999')).toBeGreaterThan(0);
  expect(share.takeRequest('first')).toBeNull();
});

describe('the API', () => {
  let engine: Engine;
  beforeAll(async () => {
    engine = await startEngine();
  });
  afterAll(() => engine.stop());
  const OTHER = { tenant: 'umbrella' };

  test('returns 429 with Retry-After beyond a tenant’s share of requests, and does not affect another tenant', async () => {
    const { table } = await engine.table();
    const api = createApi(table, { ...LIMITS, requestsPerSecond: 1, requestBurst: 3 });
    const before = await api.call('listContainers', { claims: OTHER });
    for (let index = 0; index < 3; index += 1) expect((await api.call('listContainers')).status).toBe(200);
    const refused = await api.call('listContainers');
    expect([refused.status, refused.headers['retry-after']]).toEqual([429, '1']);
    expect(api.lines.join()).toContain(`"tenant":"${TENANT}","LimitReached":1`);
    expect(refused.body).toMatchObject({
      code: 'too-many-requests',
      context: { retryAfterSeconds: 1 },
      suggestion: expect.stringContaining('1 s'),
    });
    expect(await api.call('listContainers', { claims: OTHER })).toEqual(before);
    api.clock.ms += 1000;
    expect((await api.call('listContainers')).status).toBe(200);
  });

  test('shortens the wait of a tenant that has used its share, and returns Retry-After', async () => {
    const { table } = await engine.table();
    const api = createApi(table, LIMITS);
    await table.put({ Item: operationItem(operationRecord(50)) });
    const params = { id: testId(50) };
    const wait = async () => {
      const began = api.clock.ms;
      const answer = await api.call('getOperation', { params, query: 'waitSeconds=25' });
      return { seconds: (api.clock.ms - began) / 1000, answer };
    };
    const first = await wait();
    // A new instance starts with a random part of the 25 s, which is one half in tests.
    expect(first.seconds).toBeCloseTo(12.5, 1);
    expect([first.answer.status, first.answer.headers['retry-after']]).toEqual([200, '1']);
    let waited = 0;
    for (let index = 0; index < 100; index += 1) {
      api.clock.ms += 1000;
      waited += (await wait()).seconds;
    }
    expect(waited).toBeLessThan(0.5 * 100);
    const noWait = await api.call('getOperation', { params });
    expect([noWait.status, noWait.headers['retry-after']]).toEqual([200, undefined]);
  });

  test('counts a change of a rule as at least one second, because EventBridge’s limit is shared by all tenants', async () => {
    const { table } = await engine.table();
    const api = createApi(table, LIMITS);
    const body = { eventPattern: { source: ['s'] }, select: { name: 'a' }, runtimeType: 'HyperV' };
    const put = () => api.call('putConversionRule', { params: { name: 'r' }, body });
    let made = 0;
    for (let answer = await put(); answer.status !== 429; answer = await put()) made += 1;
    expect(made).toBeLessThanOrEqual(LIMITS.waitBurstSeconds);
    const other = await api.call('putConversionRule', { params: { name: 'r' }, body, claims: OTHER });
    expect(other.status).toBe(201);
  });

  const HOLDING: [operationId: string, body: object | undefined][] = [
    ['execInContainer', { command: ['true'] }],
    ['openSession', {}],
    ['getContainerLogs', undefined],
    ['listContainerProcesses', undefined],
    ['getContainerIsolation', undefined],
    ['verifyContainerIsolation', {}],
  ];

  test('counts every route of a function that waits for a host', () => {
    const asking = ROUTES.filter((route) => ['sessions', 'list-processes'].includes(route.function));
    const uncounted = asking.filter((route) => !('overShare' in route));
    expect(uncounted.map(({ operationId }) => operationId)).toEqual([]);
  });

  test.each(HOLDING)(
    'refuses %s of a tenant that has used its share, before a command is sent to a host',
    async (id, body) => {
      const { table } = await engine.table();
      const api = createApi(table, LIMITS);
      await table.put({ Item: hostItem(hostRecord(900)) });
      const link = { connectionId: 'connection-1', lastSeenAt: api.clock.ms };
      await table.put({ Item: createItem('hostLink', keys.hostLink(TENANT, testId(900)), link) });
      await table.put({ Item: containerItem(containerRecord('Running')) });
      const call = () => api.call(id, { params: { idOrName: testId(1) }, ...(body && { body }) });
      // The host does not answer, so each request occupies its function for the host's whole time limit.
      let answer = await call();
      while (answer.status === 504) answer = await call();
      expect(answer.status).toBe(429);
      const asked = api.outside.pushed.length;
      expect(asked).toBeGreaterThan(0);
      expect(asked).toBeLessThanOrEqual(2);
      const seconds = Number(answer.headers['retry-after']);
      expect(seconds).toBeLessThanOrEqual(24);
      expect((await call()).status).toBe(429);
      expect(api.outside.pushed).toHaveLength(asked);
      api.clock.ms += seconds * 1000;
      expect((await call()).status).toBe(504);
    },
  );
});
