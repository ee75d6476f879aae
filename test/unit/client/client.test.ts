import { describe, expect, test } from '@jest/globals';
import {
  AnswerError,
  Client,
  ConnectionError,
  itemsOf,
  OperationFailedError,
  ProblemError,
  readEvents,
  readLog,
  waitForSuccess,
} from '../../../core/client/index.ts';
import { type Call, fakeApi, type Planned, problem, type Reply } from './fake-api.ts';
import { containerOf, ID, OPERATION_ID, operationOf } from './records.ts';

const setting = (...replies: Planned[]) => {
  const { fetch, calls } = fakeApi(...replies);
  const pauses: number[] = [];
  const told: number[] = [];
  let keys = 0;
  const client = new Client({
    apiUrl: 'https://api.example.com/',
    token: 'secret',
    fetch,
    random: () => 0.5,
    newKey: () => `key-${++keys}`,
    now: () => Date.parse('2026-01-01T00:00:00Z'),
    sleep: async (milliseconds) => void pauses.push(milliseconds),
    onThrottled: (milliseconds) => void told.push(milliseconds),
  });
  return { client, calls, pauses, told };
};

const ok = (body: unknown, headers?: Record<string, string>): Reply => ({ status: 200, body, headers });
const accepted: Reply = { status: 202, body: { container: containerOf(), operation: operationOf() } };

describe('a call', () => {
  test('sends the route of the contract with its parameters, query and token', async () => {
    const { client, calls } = setting(ok({ items: [], nextCursor: null }));
    await client.call('listContainers', { query: { label: ['a=1', 'b=2 c'], limit: '5', state: undefined } });
    expect(calls[0]).toMatchObject({
      method: 'GET',
      url: 'https://api.example.com/v1/containers?label=a%3D1&label=b%3D2+c&limit=5',
      headers: { authorization: 'Bearer secret' },
    });
    expect(calls[0]?.headers).not.toHaveProperty('idempotency-key');
  });

  test('encodes a parameter as one path segment, except the slashes of an image name', async () => {
    const { client, calls } = setting(problem(404, 'not-found'));
    await client.call('getContainer', { params: { idOrName: 'a/../b?c' } }).catch(() => undefined);
    await client.call('getImage', { params: { name: 'reg.io/a b/c:1' } }).catch(() => undefined);
    expect(calls.map(({ url }) => url)).toEqual([
      'https://api.example.com/v1/containers/a%2F..%2Fb%3Fc',
      'https://api.example.com/v1/images/reg.io/a%20b/c%3A1',
    ]);
  });

  test('sends a mutation with a new idempotency key and the given precondition', async () => {
    const { client, calls } = setting(accepted);
    await client.call('startContainer', { params: { idOrName: 'x' }, ifMatch: '"3"' });
    await client.call('startContainer', { params: { idOrName: 'x' } });
    await client.call('startContainer', { params: { idOrName: 'x' }, idempotencyKey: 'mine' });
    expect(calls.map(({ headers }) => headers['idempotency-key'])).toEqual(['key-1', 'key-2', 'mine']);
    expect(calls[0]?.headers['if-match']).toBe('"3"');
  });

  test('returns the ETag and the request id with the body', async () => {
    const { client } = setting(ok(containerOf(), { etag: '"3"', 'apigw-requestid': 'r-1' }));
    const answer = await client.send('getContainer', { params: { idOrName: 'x' } });
    expect(answer).toMatchObject({ status: 200, etag: '"3"', requestId: 'r-1', body: { id: ID } });
  });
});

describe('responses', () => {
  test('a problem is thrown with its code, suggestion and request id', async () => {
    const { client } = setting({
      ...problem(409, 'invalid-state', { suggestion: 'Stop it first.' }),
      headers: { 'apigw-requestid': 'r-2' },
    });
    const error = await client.call('startContainer', { params: { idOrName: 'x' } }).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(ProblemError);
    expect(error).toMatchObject({ code: 'invalid-state', suggestion: 'Stop it first.', requestId: 'r-2' });
  });

  test('members that a newer control plane adds are accepted at any depth', async () => {
    const { client } = setting(
      ok({ ...containerOf(), colour: 'red', resources: { memoryMB: 1, cpus: 1, diskMB: 64, gpus: 2 } }),
    );
    expect(await client.call('getContainer', { params: { idOrName: 'x' } })).toMatchObject({ id: ID });
    const union = setting({
      ...accepted,
      status: 200,
      body: { ...(accepted.body as object), colour: 'red' },
    });
    expect(await union.client.call('startContainer', { params: { idOrName: 'x' } })).toHaveProperty(
      'operation',
    );
  });

  test.each<[string, Reply]>([
    ['a body of another shape', ok({ ...containerOf(), id: 7 })],
    ['no JSON', { status: 200, body: '<html>' }],
    [
      'a status that the route has not',
      { status: 418, body: '{}', headers: { 'content-type': 'text/plain' } },
    ],
  ])('%s is refused as an invalid response', async (_, reply) => {
    const { client } = setting(reply);
    await expect(client.call('getContainer', { params: { idOrName: 'x' } })).rejects.toBeInstanceOf(
      AnswerError,
    );
  });
});

describe('retries', () => {
  test('no response, gateway errors and 503 are retried with the same key and longer pauses', async () => {
    const { client, calls, pauses } = setting(
      new TypeError('fetch failed'),
      { status: 502, body: 'bad gateway', headers: { 'content-type': 'text/html' } },
      problem(503, 'too-busy'),
      accepted,
    );
    await client.call('startContainer', { params: { idOrName: 'x' } });
    expect(new Set(calls.map(({ headers }) => headers['idempotency-key']))).toEqual(new Set(['key-1']));
    expect(pauses).toEqual([100, 200, 400]);
  });

  test('Retry-After is respected, in seconds and as a date', async () => {
    const busy = (value: string): Reply => ({
      ...problem(503, 'too-busy'),
      headers: { 'retry-after': value },
    });
    const { client, pauses } = setting(busy('2'), busy('Thu, 01 Jan 2026 00:00:03 GMT'), accepted);
    await client.call('startContainer', { params: { idOrName: 'x' } });
    expect(pauses).toEqual([2100, 3100]);
  });

  test('429 is retried and reported, after Retry-After or, from a gateway, after a short pause', async () => {
    const throttled: Reply = { ...problem(429, 'too-many-requests'), headers: { 'retry-after': '7' } };
    const gateway: Reply = {
      status: 429,
      body: '{"message":"Too Many Requests"}',
      headers: { 'content-type': 'application/json' },
    };
    const { client, pauses, told } = setting(throttled, gateway, accepted);
    await client.call('startContainer', { params: { idOrName: 'x' } });
    expect(pauses).toEqual([7100, 200]);
    expect(told).toEqual(pauses);
    // The request was not processed, so it is repeated even without a key.
    const matched = ok({ matches: true, select: null, reason: null, containers: [], truncated: false });
    const again = setting(throttled, matched);
    const event = { source: 's', 'detail-type': 't', detail: {} };
    await again.client.call('testConversionRule', { params: { name: 'r' }, body: { event } });
    expect(again.pauses).toEqual([7100]);
  });

  test('repeated 429 from a gateway results in an error with a suggestion', async () => {
    const headers = { 'content-type': 'application/json' };
    const { client } = setting({ status: 429, body: '{"message":"Too Many Requests"}', headers });
    const error = await client.call('getContainer', { params: { idOrName: 'x' } }).catch((e: unknown) => e);
    expect(error).toMatchObject({
      code: 'too-many-requests',
      message: 'The control plane receives too many requests.',
      suggestion: expect.any(String),
    });
  });

  test('an exhausted quota is not retried', async () => {
    const { client, calls } = setting(problem(429, 'quota-exceeded'));
    await expect(client.call('startContainer', { params: { idOrName: 'x' } })).rejects.toMatchObject({
      code: 'quota-exceeded',
    });
    expect(calls).toHaveLength(1);
  });

  test('a long Retry-After is returned to the caller', async () => {
    const { client, calls } = setting({ ...problem(503, 'too-busy'), headers: { 'retry-after': '3600' } });
    await expect(client.call('getContainer', { params: { idOrName: 'x' } })).rejects.toMatchObject({
      code: 'too-busy',
    });
    expect(calls).toHaveLength(1);
  });

  test('five attempts, then an error with the URL', async () => {
    const { client, calls } = setting(
      Object.assign(new TypeError('fetch failed'), { cause: new Error('ECONNREFUSED') }),
    );
    const error = await client.call('getContainer', { params: { idOrName: 'x' } }).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(ConnectionError);
    expect(String(error)).toContain('https://api.example.com does not answer (ECONNREFUSED)');
    expect(calls).toHaveLength(5);
  });

  test.each([
    ['a refusal', problem(409, 'invalid-state')],
    ['a failure that the API reports', problem(500, 'internal')],
    ['a host that does not answer', problem(504, 'host-not-answering')],
  ])('%s is not repeated', async (_, reply) => {
    const { client, calls } = setting(reply);
    await expect(client.call('startContainer', { params: { idOrName: 'x' } })).rejects.toThrow();
    expect(calls).toHaveLength(1);
  });

  test('a call without a key is never retried', async () => {
    const { client, calls } = setting(new TypeError('fetch failed'));
    const body = { token: 'x'.repeat(16) } as never;
    await expect(client.call('enrollHost', { body })).rejects.toBeInstanceOf(ConnectionError);
    expect(calls).toHaveLength(1);
  });

  test('an aborted call is not retried', async () => {
    const { client, calls } = setting(new TypeError('fetch failed'));
    const gone = AbortSignal.abort(new Error('gone'));
    await expect(client.call('getContainer', { params: { idOrName: 'x' }, signal: gone })).rejects.toThrow(
      'gone',
    );
    expect(calls).toHaveLength(0);
  });
});

describe('lists, waits, events, logs', () => {
  test('pages are fetched on demand', async () => {
    const page = (name: string, nextCursor: string | null): Reply =>
      ok({ items: [containerOf({ name })], nextCursor });
    const { client, calls } = setting(page('a', 'p.2'), page('b', 'p.3'), page('c', null));
    const names: string[] = [];
    for await (const { name } of itemsOf(client, 'listContainers', { query: { limit: '1' } })) {
      names.push(name);
      if (name === 'b') break;
    }
    expect(names).toEqual(['a', 'b']);
    expect(calls.map(({ url }) => new URL(url).search)).toEqual(['?limit=1', '?limit=1&cursor=p.2']);
  });

  test('a wait reports each poll of the operation', async () => {
    const done = operationOf({ state: 'Succeeded', endedAt: '2026-01-01T00:00:00Z' });
    const { client, calls } = setting(ok(operationOf()), ok(done));
    const seen: string[] = [];
    await waitForSuccess(client, operationOf(), { onProgress: ({ state }) => seen.push(state) });
    expect(seen).toEqual(['Running', 'Running', 'Succeeded']);
    expect(calls[0]?.url).toContain(`/v1/operations/${OPERATION_ID}?waitSeconds=1`);
  });

  test('a wait that the API has shortened continues after Retry-After', async () => {
    const short = {
      ...ok(operationOf()),
      headers: { 'content-type': 'application/json', 'retry-after': '1' },
    };
    const done = ok(operationOf({ state: 'Succeeded', endedAt: '2026-01-01T00:00:00Z' }));
    const { client, calls, pauses } = setting(short, short, done);
    await waitForSuccess(client, OPERATION_ID);
    expect([calls.length, pauses]).toEqual([3, [1000, 1000]]);
  });

  test.each(['Failed', 'Cancelled'] as const)(
    'an operation that ends in state %s is an error',
    async (state) => {
      const error = problem(409, 'no-host-fits', { suggestion: 'Add a host.' }).body as never;
      const { client } = setting(ok(operationOf({ state, error: state === 'Failed' ? error : null })));
      const failure = await waitForSuccess(client, OPERATION_ID).catch((e: unknown) => e);
      expect(failure).toBeInstanceOf(OperationFailedError);
      expect(failure).toMatchObject({ code: state === 'Failed' ? 'no-host-fits' : 'operation-cancelled' });
    },
  );

  test('events end at an empty page, and following polls from there', async () => {
    const event = {
      id: 'e1',
      time: '2026-01-01T00:00:00.000Z',
      type: 'Container Created',
      resource: { kind: 'container', id: ID },
      revision: 1,
      previousState: null,
      state: 'Off',
      operationId: null,
      actor: 'developer',
    };
    const empty = ok({ items: [], nextCursor: 'c.1' });
    const { client, calls, pauses } = setting(ok({ items: [event], nextCursor: 'c.1' }), empty);
    const ids: string[] = [];
    for await (const { id } of readEvents(client)) ids.push(id);
    expect([ids, calls.length, pauses]).toEqual([['e1'], 2, []]);
    const more = setting(empty, ok({ items: [event], nextCursor: 'c.2' }));
    for await (const _ of readEvents(more.client, { follow: true, cursor: 'c.0' })) break;
    expect(more.calls.map(({ url }) => new URL(url).searchParams.get('cursor'))).toEqual(['c.0', 'c.1']);
    expect(more.pauses).toEqual([1000]);
  });

  test('a log is followed until its container has ended, including its last output', async () => {
    const item = (text: string) => ({ at: '2026-01-01T00:00:00.000Z', stream: 'stdout', text });
    let looks = 0;
    const reply = ({ url }: Call): Reply => {
      const { pathname, searchParams } = new URL(url);
      if (!pathname.endsWith('/logs'))
        return ok(containerOf({ state: ++looks < 2 ? 'Running' : 'Off', exitCode: 0 }));
      const cursor = searchParams.get('cursor');
      const next = { undefined: ['a', 'n1'], n1: ['b', 'n2'] }[cursor ?? 'undefined'] ?? ['?', '?'];
      return ok({ items: [item(next[0] ?? '')], truncated: false, more: false, nextCursor: next[1] });
    };
    const { client } = setting(reply);
    const lines: string[] = [];
    for await (const { text } of readLog(client, { idOrName: 'x', follow: true, tail: 5 })) lines.push(text);
    expect(lines).toEqual(['a', 'b']);
  });
});
