import { chmodSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { issueToken } from '../../../../local/identity/issue-token.ts';
import { createIssuerMount } from '../../../../local/identity/issuer.ts';
import { LOCAL_AUDIENCE, LOCAL_ISSUER } from '../../../../local/identity/names.ts';
import { loadSigningKey, type SigningKey } from '../../../../local/identity/signing-key.ts';
import {
  arnOf,
  type Event,
  type Resource,
  type Started,
  startApiGateway,
} from '../../../helpers/api-gateway.ts';
import { ManualCloudClock } from '../../../helpers/manual-cloud-clock.ts';

const RESOURCES: readonly Resource[] = [
  ['Api', 'Api', { ProtocolType: 'HTTP' }],
  ['Stage', 'S', { ApiId: '@Api', StageName: '$default' }],
  [
    'Authorizer',
    'A',
    {
      ApiId: '@Api',
      AuthorizerType: 'JWT',
      IdentitySource: ['$request.header.Authorization'],
      JwtConfiguration: { Issuer: LOCAL_ISSUER, Audience: [LOCAL_AUDIENCE] },
    },
  ],
  [
    'Integration',
    'I',
    { ApiId: '@Api', IntegrationType: 'AWS_PROXY', IntegrationUri: arnOf('f'), PayloadFormatVersion: '2.0' },
  ],
  [
    'Route',
    'R',
    {
      ApiId: '@Api',
      RouteKey: 'GET /',
      Target: 'integrations/@I',
      AuthorizationType: 'JWT',
      AuthorizerId: '@A',
      AuthorizationScopes: ['containers:read'],
    },
  ],
];

describe('the local issuer', () => {
  let folder: string;
  let key: SigningKey;
  let running: Started | undefined;
  const clock = new ManualCloudClock();
  const start = async (port = 0): Promise<Event[]> => {
    const events: Event[] = [];
    running = await startApiGateway({
      clock,
      resources: RESOURCES,
      functions: { f: (event) => void events.push(event) },
      options: { port, mounts: [createIssuerMount(key)] },
    });
    return events;
  };
  const token = (signer = key) =>
    issueToken(
      { key: signer, now: () => clock.now(), newId: () => 'id-1' },
      {
        tenant: 'acme',
        scopes: ['containers:read', 'hosts:admin'],
        subject: 'ann',
        expiresInSeconds: 60,
      },
    );
  const get = (bearer: string) =>
    fetch(running?.endpoint('Api') ?? '', { headers: { authorization: `Bearer ${bearer}` } });

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'bulkhead-identity-'));
    key = await loadSigningKey(join(folder, 'keys', 'issuer.json'));
  });
  afterEach(async () => {
    await running?.stop();
    running = undefined;
    rmSync(folder, { recursive: true, force: true });
  });

  test('stores its key in a folder that only its owner can access, even if the folder existed before', async () => {
    const keys = join(folder, 'keys');
    expect(statSync(keys).mode & 0o777).toBe(0o700);
    chmodSync(keys, 0o755);
    await loadSigningKey(join(keys, 'issuer.json'));
    expect(statSync(keys).mode & 0o777).toBe(0o700);
  });

  test('does not change the mode of a shared folder with the sticky bit', async () => {
    const shared = join(folder, 'keys');
    chmodSync(shared, 0o1777);
    await loadSigningKey(join(shared, 'issuer.json'));
    expect(statSync(shared).mode & 0o7777).toBe(0o1777);
  });

  test('issues tokens with tenant and scopes that the authorizer accepts', async () => {
    const events = await start();
    expect((await get(await token())).status).toBe(200);
    const seconds = Math.floor(clock.now() / 1000);
    expect(events[0].requestContext.authorizer.jwt.claims).toEqual({
      iss: LOCAL_ISSUER,
      aud: LOCAL_AUDIENCE,
      sub: 'ann',
      tenant: 'acme',
      scope: 'containers:read hosts:admin',
      iat: String(seconds),
      exp: String(seconds + 60),
      jti: 'id-1',
    });
  });

  test('issues tokens that are valid on any port of the API', async () => {
    const old = await token();
    await start();
    const firstUrl = running?.endpoint('Api');
    await running?.stop();
    const other = await startApiGateway({ clock, resources: [], functions: {} });
    await start();
    expect((await get(old)).status).toBe(200);
    expect(firstUrl).not.toBe('');
    await other.stop();
  });

  test("refuses another issuer's tokens", async () => {
    await start();
    const otherKey = await loadSigningKey(join(folder, 'other.json'));
    expect((await get(await token(otherKey))).status).toBe(401);
  });

  test('publishes only its public key', async () => {
    await start();
    const base = `${running?.endpoint('Api')}/oidc`;
    const discovery = await (await fetch(`${base}/.well-known/openid-configuration`)).json();
    expect(discovery).toMatchObject({ issuer: LOCAL_ISSUER, jwks_uri: `${base}/.well-known/jwks.json` });
    const { keys } = (await (await fetch(`${base}/.well-known/jwks.json`)).json()) as { keys: object[] };
    expect(keys).toEqual([
      {
        kty: 'RSA',
        alg: 'RS256',
        use: 'sig',
        e: 'AQAB',
        kid: key.keyId,
        n: expect.any(String),
      },
    ]);
    expect((await fetch(`${base}/token`)).status).toBe(404);
  });

  test('stores its key in a file that only its owner can read', async () => {
    const file = join(folder, 'keys', 'issuer.json');
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect((await loadSigningKey(file)).keyId).toBe(key.keyId);
  });

  test('has one key even if two processes create it at the same time', async () => {
    const file = join(folder, 'both.json');
    const keys = await Promise.all([loadSigningKey(file), loadSigningKey(file)]);
    expect(new Set(keys.map(({ keyId }) => keyId)).size).toBe(1);
  });

  test.each([['not json'], ['{}'], ['{"kty":"RSA","kid":"x"}']])(
    'reports an invalid key such as %s with a suggestion',
    async (text) => {
      const file = join(folder, 'broken.json');
      writeFileSync(file, text);
      await expect(loadSigningKey(file)).rejects.toThrow(/broken\.json has no (RSA )?key\. Delete it/);
    },
  );
});
