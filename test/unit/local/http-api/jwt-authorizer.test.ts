import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { type CryptoKey, exportJWK, generateKeyPair, SignJWT } from 'jose';
import {
  arnOf,
  type Event,
  type Resource,
  type Started,
  startApiGateway,
} from '../../../helpers/api-gateway.ts';
import { ManualCloudClock } from '../../../helpers/manual-cloud-clock.ts';

describe('the JWT authorizer', () => {
  let provider: Server;
  let issuer: string;
  let key: CryptoKey;
  let otherKey: CryptoKey;
  let running: Started;
  let url: string;
  let events: Event[];
  let keyFetches: number;
  let published: Record<string, unknown>[];
  let clock = new ManualCloudClock();

  beforeAll(async () => {
    const pair = await generateKeyPair('RS256', { extractable: true });
    key = pair.privateKey;
    otherKey = (await generateKeyPair('RS256')).privateKey;
    const jwk = { ...(await exportJWK(pair.publicKey)), kid: 'k1', alg: 'RS256' };
    published = [jwk];
    provider = createServer((request, response) => {
      const isKeys = request.url === '/keys';
      if (isKeys) keyFetches += 1;
      const discovery = request.url === '/.well-known/openid-configuration';
      response.statusCode = isKeys || discovery ? 200 : 404;
      response.end(JSON.stringify(isKeys ? { keys: published } : { jwks_uri: `${issuer}/keys` }));
    });
    await new Promise<void>((resolve) => provider.listen(0, '127.0.0.1', resolve));
    issuer = `http://127.0.0.1:${(provider.address() as AddressInfo).port}`;
  });
  afterAll(() => {
    provider.closeAllConnections();
    provider.close();
  });

  beforeEach(async () => {
    keyFetches = 0;
    clock = new ManualCloudClock();
    events = [];
    const authorizer = {
      ApiId: '@Api',
      Name: 'jwt',
      AuthorizerType: 'JWT',
      IdentitySource: ['$request.header.Authorization'],
      JwtConfiguration: { Issuer: issuer, Audience: ['bulkhead', 'other'] },
    };
    const secured = {
      ApiId: '@Api',
      Target: 'integrations/@I',
      AuthorizationType: 'JWT',
      AuthorizerId: '@A',
    };
    const resources: Resource[] = [
      ['Api', 'Api', { ProtocolType: 'HTTP' }],
      ['Stage', 'S', { ApiId: '@Api', StageName: '$default' }],
      ['Authorizer', 'A', authorizer],
      [
        'Integration',
        'I',
        {
          ApiId: '@Api',
          IntegrationType: 'AWS_PROXY',
          IntegrationUri: arnOf('f'),
          PayloadFormatVersion: '2.0',
        },
      ],
      ['Route', 'R1', { ...secured, RouteKey: 'GET /any' }],
      ['Route', 'R2', { ...secured, RouteKey: 'GET /scoped', AuthorizationScopes: ['read', 'write'] }],
    ];
    running = await startApiGateway({
      clock,
      resources,
      functions: { f: (event) => void events.push(event) },
    });
    url = running.endpoint('Api');
  });
  afterEach(() => running.stop());

  const now = (): number => Math.floor(clock.now() / 1000);
  const good = () => ({ iss: issuer, aud: 'bulkhead', sub: 'me', iat: now(), exp: now() + 60 });
  const sign = (claims: Record<string, unknown>, signer = key, kid = 'k1'): Promise<string> =>
    new SignJWT(claims).setProtectedHeader({ alg: 'RS256', kid }).sign(signer);
  const get = (path: string, token?: string): Promise<Response> =>
    fetch(url + path, token === undefined ? {} : { headers: { authorization: `Bearer ${token}` } });

  test('accepts a valid token, with its claims as strings and no scopes if the route needs none', async () => {
    const token = await sign({
      ...good(),
      groups: ['a', 'b'],
      deep: { x: 1 },
      on: true,
      gone: null,
      scope: 'read',
    });
    expect((await get('/any', token)).status).toBe(200);
    expect(events[0].requestContext.authorizer).toEqual({
      jwt: {
        claims: {
          iss: issuer,
          aud: 'bulkhead',
          sub: 'me',
          iat: String(now()),
          exp: String(now() + 60),
          groups: '[a b]',
          deep: '{"x":1}',
          on: 'true',
          scope: 'read',
        },
        scopes: null,
      },
    });
  });

  test('also accepts a token without "Bearer"', async () => {
    const token = await sign(good());
    expect((await fetch(`${url}/any`, { headers: { authorization: token } })).status).toBe(200);
  });

  test('uses client_id as the audience only if there is no aud', async () => {
    const { aud: _, ...bare } = good();
    expect((await get('/any', await sign({ ...bare, client_id: 'other' }))).status).toBe(200);
    expect((await get('/any', await sign({ ...good(), aud: 'x', client_id: 'other' }))).status).toBe(401);
  });

  test('accepts a list of audiences', async () => {
    expect((await get('/any', await sign({ ...good(), aud: ['x', 'other'] }))).status).toBe(200);
  });

  test('responds with 401 without a token', async () => {
    const response = await get('/any');
    expect(response.status).toBe(401);
    expect(response.headers.get('www-authenticate')).toBe('Bearer');
    expect(await response.json()).toEqual({ message: 'Unauthorized' });
  });

  test.each<[string, Record<string, unknown>, string]>([
    ['another issuer', { iss: 'https://else.where' }, 'the token has an invalid issuer'],
    ['another audience', { aud: 'x' }, 'the token does not have a valid audience'],
    ['no audience', { aud: undefined }, 'the token does not have a valid audience'],
    ['an expiry in the past', { exp: now() }, 'the token has expired'],
    ['no expiry', { exp: undefined }, 'the token has expired'],
    ['a start in the future', { nbf: now() + 1 }, 'the token is not valid yet'],
    ['an issue time in the future', { iat: now() + 1 }, 'the token was issued in the future'],
  ])('answers 401 to a token with %s', async (_, claims, why) => {
    const response = await get('/any', await sign({ ...good(), ...claims }));
    expect(response.status).toBe(401);
    expect(response.headers.get('www-authenticate')).toBe(
      `Bearer scope="" error="invalid_token" error_description="${why}"`,
    );
    expect(events).toEqual([]);
  });

  test.each([
    ['text that is not a JWT', async () => 'nonsense'],
    ["another key's signature", async () => sign(good(), otherKey)],
    ['an unknown key', async () => sign(good(), key, 'k2')],
    ['no signature', async () => `${btoa('{"alg":"none"}')}.${btoa(JSON.stringify(good()))}.`],
    [
      'a shared secret',
      async () => new SignJWT(good()).setProtectedHeader({ alg: 'HS256', kid: 'k1' }).sign(Buffer.alloc(32)),
    ],
  ])('answers 401 to %s', async (_, make) => {
    expect((await get('/any', await make())).status).toBe(401);
    expect(events).toEqual([]);
  });

  test("requires one of the route's scopes, and passes the matching scopes to the function", async () => {
    expect((await get('/scoped', await sign({ ...good(), scope: 'else write' }))).status).toBe(200);
    expect(events[0].requestContext.authorizer.jwt.scopes).toEqual(['write']);
    expect((await get('/scoped', await sign({ ...good(), scp: ['read'] }))).status).toBe(200);
  });

  test.each([[undefined], ['else'], ['readwrite']])('responds with 403 to the scopes %s', async (scope) => {
    const response = await get('/scoped', await sign({ ...good(), scope }));
    expect(response.status).toBe(403);
    expect(response.headers.get('www-authenticate')).toContain('error="insufficient_scope"');
    expect(await response.json()).toEqual({ message: 'Forbidden' });
  });

  test('fetches the keys once for many requests, and again after two hours', async () => {
    await Promise.all([1, 2, 3].map(async () => get('/any', await sign(good()))));
    expect(keyFetches).toBe(1);
    clock.advance(2 * 60 * 60_000 + 1);
    await get('/any', await sign(good()));
    expect(keyFetches).toBe(2);
  });

  test('finds a new key of the issuer without a request for every unknown key', async () => {
    await get('/any', await sign(good()));
    const [first] = published;
    published.push({ ...first, kid: 'rolled' });
    clock.advance(11_000);
    expect((await get('/any', await sign(good(), key, 'rolled'))).status).toBe(200);
    await get('/any', await sign(good(), key, 'unknown'));
    expect(keyFetches).toBe(2);
    published.pop();
  });
});
