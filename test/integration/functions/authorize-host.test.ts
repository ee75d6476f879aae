import { generateKeyPairSync, type KeyObject, randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { SignJWT, UnsecuredJWT } from 'jose';
import { createAuthorizeHostHandler } from '../../../functions/authorize-host/handler.ts';
import { createLogger } from '../../../functions/shared/observability/logger.ts';
import { type HostRecord, hostItem } from '../../../store/hosts.ts';
import { FACTS } from '../../helpers/control-plane-world.ts';
import { type Engine, type EngineTable, startEngine } from '../../helpers/dynoxide.ts';
import { AT, TENANT } from '../../helpers/records.ts';
import { testSeal } from '../../helpers/signing.ts';

let engine: Engine;
let opened: EngineTable;
const lines: string[] = [];
const hostId = randomUUID();
const lostId = randomUUID();
const pair = generateKeyPairSync('ed25519');
const NOW = Date.parse(AT) / 1000;
const ARN = 'arn:aws:execute-api:us-east-1:111122223333:api/v1/$connect';

const hostRecord = (id: string, state: 'Ready' | 'Lost', key: KeyObject): HostRecord => ({
  tenant: TENANT,
  id,
  revision: 1,
  free: FACTS.capacity,
  publicKey: String(key.export({ format: 'jwk' }).x),
  actor: 'ann',
  view: { name: 'host', facts: FACTS, labels: {}, schedulable: true, state, agentVersion: '1' },
});

beforeAll(async () => {
  engine = await startEngine();
  opened = await engine.table();
  await opened.table.put({ Item: hostItem(hostRecord(hostId, 'Ready', pair.publicKey)) });
  await opened.table.put({ Item: hostItem(hostRecord(lostId, 'Lost', pair.publicKey)) });
});
afterAll(() => engine.stop());

interface Given {
  readonly tenant?: string;
  readonly kid?: string;
  readonly sub?: string;
  readonly iss?: string;
  readonly aud?: string;
  readonly iat?: number;
  readonly exp?: number;
  readonly key?: KeyObject;
}

const sign = (given: Given = {}): Promise<string> => {
  const id = given.kid ?? hostId;
  const iat = given.iat ?? NOW;
  return new SignJWT({ tenant: given.tenant ?? TENANT })
    .setProtectedHeader({ alg: 'EdDSA', kid: id })
    .setIssuer(given.iss ?? id)
    .setSubject(given.sub ?? id)
    .setAudience(given.aud ?? 'bulkhead-host-link')
    .setIssuedAt(iat)
    .setExpirationTime(given.exp ?? iat + 60)
    .sign(given.key ?? pair.privateKey);
};

const authorize = (authorization: string | undefined) => {
  const now = () => new Date(AT);
  const handler = createAuthorizeHostHandler({
    ...testSeal,
    table: opened.table,
    now,
    logger: createLogger({ level: 'debug', now, write: (line) => lines.push(line) }),
  });
  return handler({
    type: 'REQUEST',
    methodArn: ARN,
    headers: authorization === undefined ? {} : { Authorization: authorization },
  });
};

describe('the authorizer of hosts', () => {
  test('accepts a host that signs with its own key, as that host', async () => {
    const token = await sign();
    expect(await authorize(`Bearer ${token}`)).toEqual({
      principalId: hostId,
      policyDocument: {
        Version: '2012-10-17',
        Statement: [{ Action: 'execute-api:Invoke', Effect: 'Allow', Resource: ARN }],
      },
      context: { tenant: TENANT, hostId },
    });
    expect(lines.join()).not.toContain(token);
  });

  test('tolerates a small clock difference', async () => {
    await expect(authorize(`Bearer ${await sign({ iat: NOW + 20 })}`)).resolves.toBeDefined();
    await expect(authorize(`Bearer ${await sign({ iat: NOW - 80 })}`)).resolves.toBeDefined();
  });

  test.each<[string, Given]>([
    ['another key', { key: generateKeyPairSync('ed25519').privateKey }],
    ['another tenant, which has no such host', { tenant: 'other' }],
    ['a tenant with the separator of keys', { tenant: 'acme#H' }],
    ['a missing host', { kid: randomUUID() }],
    ['a lost host', { kid: lostId }],
    ['a subject other than the key’s host', { sub: lostId }],
    ['an issuer other than the host', { iss: lostId }],
    ['another audience', { aud: 'bulkhead-api' }],
    ['an expired token', { iat: NOW - 200 }],
    ['a token that was issued in the future', { iat: NOW + 120 }],
    ['a token that is valid for too long', { exp: NOW + 3600 }],
  ])('refuses %s', async (_case, given) => {
    await expect(authorize(`Bearer ${await sign(given)}`)).rejects.toMatchObject({ message: 'Unauthorized' });
  });

  test('refuses an invalid token, and one without a signature', async () => {
    const unsecured = new UnsecuredJWT({ tenant: TENANT })
      .setSubject(hostId)
      .setIssuer(hostId)
      .setAudience('bulkhead-host-link')
      .setIssuedAt(NOW)
      .setExpirationTime(NOW + 60)
      .encode();
    const token = await sign();
    const bad = [
      undefined,
      '',
      'Bearer',
      'Bearer a.b.c',
      `Basic ${token}`,
      `Bearer ${unsecured}`,
      `Bearer ${token}x`,
    ];
    for (const authorization of bad)
      await expect(authorize(authorization)).rejects.toMatchObject({ message: 'Unauthorized' });
  });
});
