import { request } from 'node:http';
import { DynamoDBClient, ListTablesCommand } from '@aws-sdk/client-dynamodb';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { createForward } from '../../../../local/dynamodb/forward.ts';
import { LoopbackServer } from '../../../../local/endpoint/loopback-server.ts';
import { verifySignature } from '../../../../local/endpoint/verify-signature.ts';
import { startEngine } from '../../../helpers/dynoxide.ts';
import { LOCAL_CREDENTIALS } from '../../../helpers/local-fixtures.ts';
import { signedFetch, signedHeaders } from '../../../helpers/sign-request.ts';

const silent = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
const access = { region: 'us-east-1', credentials: LOCAL_CREDENTIALS };
const headers = { 'content-type': 'application/x-amz-json-1.1', 'x-amz-target': 'Echo.Say' };
const said = { service: 'echo', headers, body: '{"word":"hello"}' };

let server: LoopbackServer;
let calls: unknown[];

beforeEach(async () => {
  calls = [];
  server = new LoopbackServer(silent, LOCAL_CREDENTIALS);
  server.serve({
    prefix: 'Echo',
    call: async (_operation, input) => {
      calls.push(input);
      return input;
    },
  });
  await server.listen(0);
});
afterEach(() => server.close());

const codeOf = async (response: Response) =>
  [response.status, response.headers.get('x-amzn-errortype')] as const;
/** Sends headers that `fetch` would set itself. */
const statusOf = (sent: Record<string, string>): Promise<number | undefined> =>
  new Promise((resolve, reject) => {
    request(server.url, { method: 'POST', headers: sent }, (response) =>
      resolve(response.resume().statusCode),
    )
      .on('error', reject)
      .end(said.body);
  });

describe('the loopback server', () => {
  test('serves requests that are signed with the credentials', async () => {
    const response = await signedFetch(access, server.url, said);
    expect([response.status, await response.json()]).toEqual([200, { word: 'hello' }]);
  });

  test('refuses unsigned, incorrectly signed and modified requests', async () => {
    const unsigned = await fetch(server.url, { method: 'POST', headers, body: said.body });
    expect(await codeOf(unsigned)).toEqual([403, 'MissingAuthenticationTokenException']);
    const guessed = { ...access, credentials: { ...LOCAL_CREDENTIALS, secretAccessKey: 'guessed' } };
    expect(await codeOf(await signedFetch(guessed, server.url, said))).toEqual([
      403,
      'InvalidSignatureException',
    ]);
    const other = { ...access, credentials: { ...LOCAL_CREDENTIALS, accessKeyId: 'OTHER' } };
    expect(await codeOf(await signedFetch(other, server.url, said))).toEqual([
      403,
      'UnrecognizedClientException',
    ]);
    const signed = await signedHeaders(access, server.url, said);
    const changed = [
      fetch(server.url, { method: 'POST', headers: signed, body: '{"word":"other"}' }),
      fetch(`${server.url}/elsewhere`, { method: 'POST', headers: signed, body: said.body }),
      fetch(`${server.url}/?more=1`, { method: 'POST', headers: signed, body: said.body }),
      fetch(server.url, { method: 'PUT', headers: signed, body: said.body }),
      fetch(server.url, {
        method: 'POST',
        headers: { ...signed, 'x-amz-target': 'Echo.Shout' },
        body: said.body,
      }),
      fetch(server.url, { method: 'POST', headers: { ...signed, 'x-amz-more': '1' }, body: said.body }),
    ];
    for (const response of await Promise.all(changed))
      expect(await codeOf(response)).toEqual([403, 'InvalidSignatureException']);
    expect(calls).toEqual([]);
  });

  test('serves no web page, and no other name that resolves to this machine', async () => {
    const signed = await signedHeaders(access, server.url, said);
    expect(await statusOf(signed)).toBe(200);
    expect(await statusOf({ ...signed, origin: 'http://localhost:3000' })).toBe(403);
    expect(await statusOf({ ...signed, origin: 'null' })).toBe(403);
    expect(await statusOf({ ...signed, 'sec-fetch-site': 'same-site' })).toBe(403);
    const rebound = await signedHeaders(access, server.url.replace('127.0.0.1', 'attacker.example'), said);
    expect(await statusOf(rebound)).toBe(403);
    expect(calls).toHaveLength(1);
  });

  test('passes a mounted handler the body that was verified', async () => {
    server.mount('/mounted/', async (incoming, response) => {
      const { readBody } = await import('../../../../local/endpoint/loopback-server.ts');
      response.end(await readBody(incoming));
      return true;
    });
    const url = `${server.url}/mounted/a%20b:c/(d)`;
    const response = await signedFetch(access, url, said);
    expect([response.status, await response.text()]).toEqual([200, said.body]);
    expect((await fetch(url, { method: 'POST', body: said.body })).status).toBe(403);
  });

  test('refuses an old signature', async () => {
    const signed = await signedHeaders(access, server.url, said);
    const request = { method: 'POST', url: '/', headers: signed, body: Buffer.from(said.body) };
    const now = Date.now();
    verifySignature(request, LOCAL_CREDENTIALS, now);
    for (const minutes of [-16, 16])
      expect(() => verifySignature(request, LOCAL_CREDENTIALS, now + minutes * 60_000)).toThrow('expired');
  });
});

describe('DynamoDB', () => {
  test('is available through the loopback server to callers with the credentials', async () => {
    const engine = await startEngine();
    const { forward, close } = createForward(() => engine.endpoint);
    try {
      server.forward('DynamoDB_20120810', forward);
      const clientOf = (credentials: typeof LOCAL_CREDENTIALS) =>
        new DynamoDBClient({ endpoint: server.url, region: 'us-east-1', credentials, maxAttempts: 1 });
      const client = clientOf(LOCAL_CREDENTIALS);
      expect((await client.send(new ListTablesCommand({}))).TableNames).toEqual([]);
      const without = clientOf({ accessKeyId: 'local', secretAccessKey: 'local' });
      await expect(without.send(new ListTablesCommand({}))).rejects.toMatchObject({
        name: 'UnrecognizedClientException',
      });
      for (const one of [client, without]) one.destroy();
    } finally {
      close();
      engine.stop();
    }
  });
});
