import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { keyFileOf } from '../../bin/local/token.ts';
import { ROUTES, type Route, SCOPES } from '../../core/contract/http/routes.ts';
import { issueToken } from '../../local/identity/issue-token.ts';
import { loadSigningKey } from '../../local/identity/signing-key.ts';
import { type LocalCloud, startLocalCloud, waitForHosts } from '../helpers/local-cloud.ts';

let cloud: LocalCloud;
let containerId: string;
let hostId: string;

const mint = async (tenant: string, scopes: readonly string[], expiresInSeconds = 3600): Promise<string> =>
  issueToken(
    { key: await loadSigningKey(keyFileOf(cloud.stateDir)), now: Date.now, newId: randomUUID },
    { tenant, scopes, subject: 'tester', expiresInSeconds },
  );

beforeAll(async () => {
  cloud = await startLocalCloud({ simulate: 3 });
  await waitForHosts(cloud, 3);
  const created = await cloud.call('POST', '/v1/containers', { body: { name: 'mine', image: 'mini' } });
  containerId = created.body.container.id;
  hostId = (await cloud.call('GET', '/v1/hosts')).body.items[0].id;
}, 120_000);
afterAll(async () => {
  await cloud?.stop();
}, 30_000);

interface Ids {
  readonly container: string;
  readonly host: string;
  readonly image: string;
  readonly rule: string;
}
const there = (): Ids => ({ container: containerId, host: hostId, image: 'mini', rule: 'isolate' });

const fill = (route: Route, ids: Ids): string =>
  route.path
    .replace('{idOrName}', ids.container)
    .replace('{sessionId}', randomUUID())
    .replace('{name+}', ids.image)
    .replace('{name}', ids.rule)
    .replace('{id}', route.path.startsWith('/v1/hosts') ? ids.host : ids.container);

const RULE = { eventPattern: { source: ['scanner'] }, select: { name: 'mine' }, runtimeType: 'HyperV' };
/** Not tested with a missing rule, because the request would create the rule. */
const CREATES = 'putConversionRule';
const bodyFor = (route: Route): object | undefined =>
  ({
    createContainer: { image: 'mini', name: randomUUID().slice(0, 8) },
    updateContainer: { labels: { a: 'b' } },
    updateHost: { labels: { a: 'b' } },
    importImage: { name: 'x', hostId: randomUUID(), source: { reference: 'x' } },
    enrollHost: undefined,
    execInContainer: { command: ['true'] },
    putConversionRule: RULE,
    testConversionRule: { event: { source: 'scanner', 'detail-type': 'Finding', detail: {} } },
  })[route.operationId] ?? (route.method === 'GET' || route.method === 'DELETE' ? undefined : {});

const guarded = ROUTES.filter(({ scope }) => scope !== null);

describe('every route', () => {
  test.each(guarded.map((route) => [route.operationId, route] as const))(
    '%s returns 401 without a token, with an invalid token and with a token of another issuer',
    async (_, route) => {
      const path = fill(route, there());
      const [header, payload] = cloud.token.split('.');
      const foreign = 'eyJhbGciOiJSUzI1NiIsImtpZCI6ImZvcmVpZ24ifQ';
      for (const token of [null, 'nonsense', `${header}.${payload}.AAAA`, `${foreign}.${payload}.AAAA`]) {
        const { status, text } = await cloud.call(route.method, path, { token, body: bodyFor(route) });
        expect([route.operationId, token, status, text]).toEqual([
          route.operationId,
          token,
          401,
          '{"message":"Unauthorized"}',
        ]);
      }
    },
  );

  test('an expired token returns 401', async () => {
    const token = await mint('dev', ['containers:read'], -600);
    expect((await cloud.call('GET', '/v1/containers', { token })).status).toBe(401);
  });

  test.each(guarded.map((route) => [route.operationId, route] as const))(
    '%s returns 403 with the name of the missing scope',
    async (_, route) => {
      const others = SCOPES.filter((scope) => scope !== route.scope);
      const token = await mint('dev', others);
      const path = fill(route, there());
      const { status, body } = await cloud.call(route.method, path, { token, body: bodyFor(route) });
      expect([status, body.code]).toEqual([403, 'missing-scope']);
      expect(body.detail).toContain(route.scope);
    },
  );

  test("the response for another tenant's resource is identical to that for a missing resource", async () => {
    const token = await mint('stranger', SCOPES);
    expect((await cloud.call('PUT', '/v1/conversion-rules/isolate', { body: RULE })).status).toBe(201);
    const withParameters = guarded.filter(
      ({ path, operationId }) => path.includes('{') && operationId !== CREATES,
    );
    for (const route of withParameters) {
      const ask = async (ids: Ids) => {
        const { status, text, body } = await cloud.call(route.method, fill(route, ids), {
          token,
          body: bodyFor(route),
        });
        const masked = Object.values(ids).reduce<string>((answer, id) => answer.replaceAll(id, '<id>'), text);
        return { status, text: masked.replaceAll(body?.requestId ?? '<none>', '<request>') };
      };
      const foreign = await ask(there());
      const unknown = await ask({ container: randomUUID(), host: randomUUID(), image: 'none', rule: 'none' });
      expect([route.operationId, foreign]).toEqual([route.operationId, unknown]);
      expect([route.operationId, foreign.status]).toEqual([route.operationId, 404]);
    }
  });
});

describe('bodies', () => {
  test('an unknown field, a body over 64 KB, invalid JSON and another media type each get their own error', async () => {
    const post = (body: unknown, headers = {}) => cloud.call('POST', '/v1/containers', { body, headers });
    const unknown = await post({ image: 'mini', colour: 'red' });
    expect([unknown.status, unknown.body.code, unknown.body.errors]).toEqual([
      400,
      'validation-failed',
      [expect.objectContaining({ pointer: '/body/colour' })],
    ]);
    expect(unknown.headers.get('content-type')).toContain('application/problem+json');
    expect((await post({ image: 'mini', command: ['x'.repeat(70_000)] })).body).toMatchObject({
      status: 413,
      code: 'body-too-large',
    });
    expect((await post('{"image":')).body).toMatchObject({ status: 400, code: 'body-not-json' });
    expect(
      (await post('image=mini', { 'content-type': 'application/x-www-form-urlencoded' })).body,
    ).toMatchObject({
      status: 415,
      code: 'unsupported-media-type',
    });
  });

  test('routes that need no token respond without a token', async () => {
    for (const path of ['/v1/health', '/v1/version', '/v1/openapi.json'])
      expect([path, (await cloud.call('GET', path, { token: null })).status]).toEqual([path, 200]);
  });
});
