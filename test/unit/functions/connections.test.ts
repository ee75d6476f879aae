import { createHash, createHmac } from 'node:crypto';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import {
  ApiGatewayManagementApiClient,
  PostToConnectionCommand,
} from '@aws-sdk/client-apigatewaymanagementapi';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import { createCloseConnection } from '../../../functions/shared/hosts/close-connection.ts';
import { type Connections, createConnections } from '../../../functions/shared/hosts/connections.ts';
import { createPush } from '../../../functions/shared/hosts/push.ts';

const CREDENTIALS = { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'secret', sessionToken: 'token/+=' };
/** A connection id like API Gateway's, with a character that must be escaped in a path. */
const ID = 'L0SM9cOFvHcCIhw=';
/** Longer than a response takes on a loaded machine. The test without a response waits for it. */
const REQUEST_TIMEOUT_MS = 2_000;
const ACK = { action: 'ack', messageId: 'é' } as const;

interface Seen {
  readonly method: string;
  readonly path: string;
  readonly body: string;
  readonly headers: IncomingMessage['headers'];
}

/** The status of a response, or another outcome of a request. */
type Turn = number | 'reset' | 'silence';

let server: Server;
let endpoint: string;
let turns: Turn[];
let seen: Seen[];
let slept: number[];
let sockets: Set<unknown>;
let connections: Connections;

beforeEach(async () => {
  [turns, seen, slept, sockets] = [[], [], [], new Set()];
  server = createServer(async (request, response) => {
    sockets.add(request.socket);
    let body = '';
    for await (const part of request.setEncoding('utf8')) body += part;
    seen.push({ method: request.method ?? '', path: request.url ?? '', body, headers: request.headers });
    const turn = turns.shift() ?? 200;
    if (turn === 'reset') request.socket.resetAndDestroy();
    else if (turn !== 'silence') response.writeHead(turn).end('{"message":"whatever"}');
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`;
  connections = createConnections({
    endpoint,
    region: 'eu-west-1',
    credentials: CREDENTIALS,
    // With one socket, a request would wait forever behind an unread response.
    requestHandler: new NodeHttpHandler({
      httpAgent: { keepAlive: true, maxSockets: 1 },
      requestTimeout: REQUEST_TIMEOUT_MS,
      throwOnRequestTimeout: true,
    }),
    sleep: async (milliseconds) => slept.push(milliseconds),
    random: () => 0.5,
  });
});
afterEach(() => {
  server.closeAllConnections();
  server.close();
});

const hmac = (key: string | Buffer, text: string) => createHmac('sha256', key).update(text).digest();
const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');

/** The signature, computed as in AWS's description of Signature Version 4. */
const signatureOf = ({ method, path, body, headers }: Seen): string => {
  const [, signed = ''] = /SignedHeaders=([^,]+)/.exec(headers.authorization ?? '') ?? [];
  const moment = String(headers['x-amz-date']);
  const scope = `${moment.slice(0, 8)}/eu-west-1/execute-api/aws4_request`;
  const canonical = [
    method,
    path.split('/').map(encodeURIComponent).join('/'),
    '',
    ...signed.split(';').map((name) => `${name}:${headers[name]}`),
    '',
    signed,
    sha256(body),
  ].join('\n');
  const key = [...scope.split('/')].reduce<string | Buffer>(hmac, `AWS4${CREDENTIALS.secretAccessKey}`);
  return hmac(key, ['AWS4-HMAC-SHA256', moment, scope, sha256(canonical)].join('\n')).toString('hex');
};

describe('a request', () => {
  test('is the same as the SDK client’s request', async () => {
    await connections.post(ID, 'é');
    const sdk = new ApiGatewayManagementApiClient({
      endpoint,
      region: 'eu-west-1',
      credentials: CREDENTIALS,
    });
    await sdk.send(new PostToConnectionCommand({ ConnectionId: ID, Data: Buffer.from('é') }));
    sdk.destroy();
    const [ours, theirs] = seen.map(({ method, path, body }) => ({ method, path, body }));
    expect(ours).toEqual(theirs);
  });

  test.each([
    ['POST', () => connections.post(ID, JSON.stringify(ACK))],
    ['DELETE', () => connections.close(ID)],
  ])('%s is signed, including its headers', async (method, call) => {
    expect(await call()).toBe(200);
    const [request] = seen as [Seen];
    expect(request).toMatchObject({ method, path: `/v1/@connections/${encodeURIComponent(ID)}` });
    expect(request.headers['x-amz-security-token']).toBe(CREDENTIALS.sessionToken);
    expect(request.headers.authorization).toContain('Credential=AKIDEXAMPLE/');
    expect(request.headers.authorization).toMatch(/SignedHeaders=[^,]*host;[^,]*x-amz-security-token/);
    expect(request.headers.authorization).toContain(`Signature=${signatureOf(request)}`);
  });

  test('uses the connection of the previous request', async () => {
    for (const text of ['a', 'b', 'c']) await connections.post(ID, text);
    expect([seen.map(({ body }) => body), sockets.size]).toEqual([['a', 'b', 'c'], 1]);
  });
});

describe('a push', () => {
  test.each<[string, Turn[], string, number]>([
    ['arrives', [200], 'sent', 1],
    ['to a connection that is closed', [410], 'gone', 1],
    ['that is refused', [403], 'unreachable', 1],
    ['throttled once', [429, 200], 'sent', 2],
    ['throttled twice', [429, 429], 'unreachable', 2],
    ['after a fault', [500, 200], 'sent', 2],
    ['after a fault, closed by then', [503, 410], 'gone', 2],
    ['at two faults', [500, 502], 'unreachable', 2],
    ['cut off once', ['reset', 200], 'sent', 2],
    ['cut off twice', ['reset', 'reset'], 'unreachable', 2],
    ['without a response', ['silence', 'silence'], 'unreachable', 2],
  ])('%s: %j is %s after %d tries', async (_, given, result, tries) => {
    turns = [...given];
    expect(await createPush(connections)(ID, ACK)).toBe(result);
    expect(seen.map(({ body }) => JSON.parse(body))).toEqual(Array.from({ length: tries }, () => ACK));
    expect(slept).toEqual(Array.from({ length: tries - 1 }, () => 50));
  });

  test('an address without a listener is unreachable', async () => {
    await new Promise((closed) => server.close(closed));
    expect(await createPush(connections)(ID, ACK)).toBe('unreachable');
  });
});

test.each<Turn[]>([[204], [410], [500, 500], ['reset', 'reset']])(
  'closing a connection ignores %j',
  async (...given) => {
    turns = [...given];
    await expect(createCloseConnection(connections)(ID)).resolves.toBeUndefined();
    expect(new Set(seen.map(({ method }) => method))).toEqual(new Set(['DELETE']));
  },
);
