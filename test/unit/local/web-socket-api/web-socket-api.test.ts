import { afterEach, describe, expect, test } from '@jest/globals';
import type { TestFunction } from '../../../helpers/api-gateway.ts';
import { FunctionFailure } from '../../../helpers/api-gateway.ts';
import { RefusedHandshake } from '../../../helpers/web-socket-client.ts';
import { allow, type Bench, openBench } from './setting.ts';

const KB = 1024;

describe('a WebSocket API', () => {
  let bench: Bench;
  const open = async (functions: Record<string, TestFunction> = {}, secured = false): Promise<void> => {
    bench = await openBench(functions, { secured });
  };
  afterEach(() => bench.close());

  const context = (routeKey: string, eventType: string) => ({
    routeKey,
    eventType,
    extendedRequestId: expect.any(String),
    requestTime: expect.stringMatching(/^23\/Nov\/2026:09:\d\d:\d\d \+0000$/),
    messageDirection: 'IN',
    stage: 'live',
    connectedAt: expect.any(Number),
    requestTimeEpoch: bench.clock.now(),
    identity: { sourceIp: '127.0.0.1', userAgent: 'agent/1' },
    requestId: expect.any(String),
    domainName: new URL(bench.url).host,
    connectionId: expect.stringMatching(/^[\w-]{15}=$/),
    apiId: expect.stringMatching(/^[a-z0-9]{10}$/),
  });

  test('passes functions the events of a connection in API Gateway’s format', async () => {
    await open();
    const client = await bench.connect({ 'User-Agent': 'agent/1' }, '?host=h&host=i');
    const connect = await bench.event('connect');
    expect(connect).toEqual({
      headers: expect.objectContaining({ 'User-Agent': 'agent/1', 'X-Forwarded-For': '127.0.0.1' }),
      multiValueHeaders: expect.objectContaining({ 'User-Agent': ['agent/1'] }),
      queryStringParameters: { host: 'i' },
      multiValueQueryStringParameters: { host: ['h', 'i'] },
      requestContext: context('$connect', 'CONNECT'),
      isBase64Encoded: false,
    });
    client.socket.send('{"action":"work","ü":1}');
    const message = await bench.event('work');
    expect(message).toEqual({
      requestContext: { ...context('work', 'MESSAGE'), messageId: expect.any(String) },
      body: '{"action":"work","ü":1}',
      isBase64Encoded: false,
    });
    client.socket.close(1000, 'done');
    const disconnect = await bench.event('disconnect');
    expect(disconnect).toMatchObject({
      requestContext: {
        ...context('$disconnect', 'DISCONNECT'),
        disconnectStatusCode: 1000,
        disconnectReason: 'done',
      },
      isBase64Encoded: false,
    });
    const ids = [connect, message, disconnect].map((event) => event.requestContext.connectionId);
    expect(new Set(ids).size).toBe(1);
  });

  test.each([
    ['{"action":"work"}', 'work'],
    ['{"action":"unheard-of"}', 'fallback'],
    ['{"action":"$connect"}', 'fallback'],
    ['{"action":{"a":1}}', 'fallback'],
    ['[]', 'fallback'],
    ['not json', 'fallback'],
    ['', 'fallback'],
  ])('passes the message %s to the function %s', async (message, name) => {
    await open();
    const client = await bench.connect();
    client.socket.send(message);
    expect(await bench.event(name)).toMatchObject({ body: message });
  });

  test('passes messages on without waiting for earlier ones', async () => {
    const first = Promise.withResolvers<void>();
    await open({ work: (event) => (event.body.includes('slow') ? first.promise : undefined) });
    const client = await bench.connect();
    client.socket.send('{"action":"work","n":"slow"}');
    client.socket.send('{"action":"work","n":"quick"}');
    await bench.event('work');
    expect((await bench.event('work')).body).toContain('quick');
    first.resolve();
  });

  test('sends a function’s result only on routes with a route response', async () => {
    const answer = (event: { body: string }) => ({ statusCode: 200, body: `to ${event.body}` });
    await open({ ask: answer, work: answer });
    const client = await bench.connect();
    client.socket.send('{"action":"work"}');
    await bench.event('work');
    client.socket.send('{"action":"ask"}');
    expect(await client.next()).toBe('to {"action":"ask"}');
  });

  test('sends the client an error when the function fails', async () => {
    const fail = () => {
      throw new FunctionFailure('no');
    };
    await open({ work: fail });
    const client = await bench.connect();
    client.socket.send('{"action":"work"}');
    const { requestContext } = await bench.event('work');
    expect(JSON.parse(await client.next())).toEqual({
      message: 'Internal server error',
      connectionId: requestContext.connectionId,
      requestId: requestContext.requestId,
    });
  });

  test('sends the client an error when the function takes longer than 29 s', async () => {
    await open({ work: () => new Promise(() => undefined) });
    const client = await bench.connect();
    client.socket.send('{"action":"work"}');
    await bench.event('work');
    bench.clock.advance(29_000);
    expect(JSON.parse(await client.next())).toMatchObject({ message: 'Internal server error' });
  });

  describe('on $connect', () => {
    const refusal = () => bench.connect({ Authorization: 'x' }, '?host=h').catch((error: unknown) => error);

    test.each<[string, TestFunction, number]>([
      ['returns 403', () => ({ statusCode: 403 }), 403],
      ['returns 503', () => ({ statusCode: 503, body: 'x' }), 503],
      ['returns an invalid result', () => ({ fine: true }), 502],
      [
        'fails',
        () => {
          throw new FunctionFailure('no');
        },
        502,
      ],
    ])('refuses when the function %s', async (_, connect, status) => {
      await open({ connect });
      expect(await refusal()).toMatchObject({ status });
    });

    test('refuses when the function takes longer than 29 s', async () => {
      await open({ connect: () => new Promise(() => undefined) });
      const refused = refusal();
      await bench.event('connect');
      bench.clock.advance(29_000);
      expect(await refused).toMatchObject({ status: 504 });
    });

    test('refuses an unknown stage', async () => {
      await open();
      await expect(bench.connect({}, 'r')).rejects.toMatchObject({ status: 403 });
    });

    test('uses the subprotocol from the function’s result', async () => {
      await open({ connect: () => ({ statusCode: 200, headers: { 'Sec-WebSocket-Protocol': 'b' } }) });
      expect((await bench.connect({}, '', ['a', 'b'])).socket.protocol).toBe('b');
    });

    test.each([
      ['no header', {}, '?host=h'],
      ['no query', { Authorization: 'x' }, ''],
      ['an empty query', { Authorization: 'x' }, '?host='],
    ])('answers 401 to %s, without calling the authorizer', async (_, headers, query) => {
      await open({ authorize: allow() }, true);
      await expect(bench.connect(headers, query)).rejects.toMatchObject({
        status: 401,
        body: '{"message":"Unauthorized"}',
      });
      expect(bench.events).toEqual({});
    });

    test('calls the authorizer with an event of type REQUEST', async () => {
      await open({ authorize: allow() }, true);
      await bench.connect({ Authorization: 'x' }, '?host=h');
      const event = await bench.event('authorize');
      expect(event).toMatchObject({
        type: 'REQUEST',
        methodArn: expect.stringMatching(
          /^arn:aws:execute-api:us-east-1:123456789012:[a-z0-9]{10}\/live\/\$connect$/,
        ),
        headers: { Authorization: 'x' },
        queryStringParameters: { host: 'h' },
        requestContext: { routeKey: '$connect', eventType: 'CONNECT' },
      });
    });

    test("passes the authorizer's context, as strings, to every later function", async () => {
      await open({ authorize: allow({ hostId: 'h1', epoch: 7, admin: true }) }, true);
      const client = await bench.connect({ Authorization: 'x' }, '?host=h');
      client.socket.send('{"action":"work"}');
      const authorizer = { principalId: 'host-1', hostId: 'h1', epoch: '7', admin: 'true' };
      expect((await bench.event('connect')).requestContext.authorizer).toMatchObject(authorizer);
      expect((await bench.event('work')).requestContext.authorizer).toMatchObject(authorizer);
      client.socket.close();
      const { requestContext } = await bench.event('disconnect');
      expect(requestContext).toMatchObject({
        authorizer,
        disconnectStatusCode: 1005,
        disconnectReason: 'Client-side close frame status not set',
      });
    });

    const statement = (Effect: string, Resource: unknown = '*', Action: unknown = 'execute-api:Invoke') => ({
      Effect,
      Resource,
      Action,
    });
    const policy =
      (...Statement: unknown[]): TestFunction =>
      () => ({
        principalId: 'p',
        policyDocument: { Statement },
      });

    test.each<[string, TestFunction, number]>([
      ['a Deny', policy(statement('Deny')), 403],
      ['a Deny and an Allow', policy(statement('Allow'), statement('Deny')), 403],
      ['an Allow of another resource', policy(statement('Allow', 'arn:aws:execute-api:*/other/*')), 403],
      ['an Allow of another action', policy(statement('Allow', '*', 'execute-api:ManageConnections')), 403],
      ['no statement', policy(), 403],
      ['no principal', () => ({ policyDocument: { Statement: [statement('Allow')] } }), 500],
      ['a context with a list', allow({ a: [1] }), 500],
      ['nothing', () => undefined, 500],
      [
        'the error "Unauthorized"',
        () => {
          throw new FunctionFailure('Unauthorized');
        },
        401,
      ],
      [
        'another error',
        () => {
          throw new FunctionFailure('broken');
        },
        500,
      ],
    ])('refuses after %s of the authorizer', async (_, authorize, status) => {
      await open({ authorize }, true);
      expect(await refusal()).toMatchObject({ status });
      expect(bench.events.connect).toBeUndefined();
    });

    test.each([
      ['a resource with *', statement('Allow', 'arn:aws:execute-api:us-east-1:*/live/*')],
      ['a list of resources', statement('Allow', ['arn:x', '*'])],
      ['every action', statement('Allow', '*', ['execute-api:*'])],
    ])('accepts a client after an Allow for %s', async (_, allowed) => {
      await open({ authorize: policy(allowed) }, true);
      await bench.connect({ Authorization: 'x' }, '?host=h');
      expect(await bench.event('connect')).toMatchObject({
        requestContext: { authorizer: { principalId: 'p' } },
      });
    });
  });

  describe('throttles', () => {
    const limit = (count: number) => ({ ThrottlingRateLimit: count, ThrottlingBurstLimit: count });

    test('a route with its own settings, while messages on other routes still arrive', async () => {
      const stage = { DefaultRouteSettings: limit(5), RouteSettings: { work: limit(2) } };
      bench = await openBench({}, { stage });
      const [flooding, host] = [await bench.connect(), await bench.connect()];
      for (let sent = 0; sent < 50; sent += 1) flooding.socket.send('{"action":"work"}');
      for (let refused = 0; refused < 48; refused += 1)
        expect(JSON.parse(await flooding.next())).toMatchObject({ message: 'Too Many Requests' });
      expect(bench.events.work).toHaveLength(2);
      host.socket.send('{"action":"heartbeat"}');
      expect((await bench.event('fallback')).body).toBe('{"action":"heartbeat"}');
      bench.clock.advance(1000);
      bench.events.work = [];
      flooding.socket.send('{"action":"work","n":1}');
      expect((await bench.event('work')).body).toContain('"n":1');
    });

    test('the handshake as the routes without settings', async () => {
      bench = await openBench({}, { stage: { DefaultRouteSettings: limit(1) } });
      const client = await bench.connect();
      const refused = await bench.connect().catch((error: unknown) => error);
      expect(refused).toEqual(new RefusedHandshake(429, '{"message":"Too Many Requests"}'));
      client.socket.send('{"action":"work"}');
      expect(JSON.parse(await client.next())).toMatchObject({ message: 'Too Many Requests' });
      expect(bench.events.work).toBeUndefined();
    });
  });

  describe('has the limits of API Gateway', () => {
    test('accepts a message of 128 KB in frames of 32 KB', async () => {
      await open();
      const client = await bench.connect();
      for (const fin of [false, false, false, true]) client.socket.send('x'.repeat(32 * KB), { fin });
      expect((await bench.event('fallback')).body).toHaveLength(128 * KB);
    });

    test.each([
      ['a frame of more than 32 KB', ['x'.repeat(32 * KB + 1)]],
      ['a message of more than 128 KB', [...Array(4).fill('x'.repeat(32 * KB)), 'x']],
    ])('closes with 1009 after %s', async (_, frames) => {
      await open();
      const client = await bench.connect();
      for (const [index, frame] of frames.entries())
        client.socket.send(frame, { fin: index === frames.length - 1 });
      expect(await client.closed).toMatchObject({ code: 1009 });
      expect(await bench.event('disconnect')).toMatchObject({
        requestContext: { disconnectStatusCode: 1009 },
      });
      expect(bench.events.fallback).toBeUndefined();
    });

    test('closes with 1003 after a binary frame', async () => {
      await open();
      const client = await bench.connect();
      client.socket.send(Buffer.from([1]));
      expect(await client.closed).toMatchObject({ code: 1003 });
    });

    test('closes a connection that has been idle for 10 minutes, but not an active one', async () => {
      await open({ ask: () => ({ statusCode: 200, body: 'x' }) });
      const [idle, busy] = [await bench.connect(), await bench.connect()];
      bench.clock.advance(9 * 60_000);
      busy.socket.send('{"action":"ask"}');
      await busy.next();
      bench.clock.advance(60_000);
      expect(await idle.closed).toEqual({ code: 1001, reason: 'Going away' });
      expect(busy.socket.readyState).toBe(busy.socket.OPEN);
      bench.clock.advance(9 * 60_000);
      expect(await busy.closed).toMatchObject({ code: 1001 });
    });

    test('closes a connection after 2 hours, even if it is active', async () => {
      await open({ ask: () => ({ statusCode: 200, body: 'x' }) });
      const client = await bench.connect();
      for (let minutes = 0; minutes < 115; minutes += 5) {
        bench.clock.advance(5 * 60_000);
        client.socket.send('{"action":"ask"}');
        await client.next();
      }
      expect(client.socket.readyState).toBe(client.socket.OPEN);
      bench.clock.advance(5 * 60_000);
      expect(await client.closed).toMatchObject({ code: 1001 });
    });
  });
});
