import {
  ApiGatewayManagementApiClient,
  DeleteConnectionCommand,
  GetConnectionCommand,
  GoneException,
  PayloadTooLargeException,
  PostToConnectionCommand,
} from '@aws-sdk/client-apigatewaymanagementapi';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { LOCAL_CREDENTIALS } from '../../../helpers/local-fixtures.ts';
import type { TestClient } from '../../../helpers/web-socket-client.ts';
import { type Bench, openBench } from './setting.ts';

const KB = 1024;

describe('@connections', () => {
  let bench: Bench;
  let client: TestClient;
  let sdk: ApiGatewayManagementApiClient;
  let ConnectionId: string;

  const clientOf = (endpoint: string, credentials = LOCAL_CREDENTIALS): ApiGatewayManagementApiClient =>
    new ApiGatewayManagementApiClient({
      region: 'us-east-1',
      endpoint,
      credentials,
      maxAttempts: 1,
    });
  const post = (data: string | Buffer, to = ConnectionId) =>
    sdk.send(new PostToConnectionCommand({ ConnectionId: to, Data: Buffer.from(data) }));

  beforeEach(async () => {
    bench = await openBench();
    client = await bench.connect({ 'User-Agent': 'agent/1' });
    ConnectionId = (await bench.event('connect')).requestContext.connectionId;
    sdk = clientOf(bench.managementUrl);
  });
  afterEach(async () => {
    sdk.destroy();
    await bench.close();
  });

  test('refuses a caller without the credentials', async () => {
    sdk = clientOf(bench.managementUrl, { ...LOCAL_CREDENTIALS, secretAccessKey: 'guessed' });
    await expect(post('x')).rejects.toMatchObject({ name: 'InvalidSignatureException' });
    sdk = clientOf(bench.managementUrl, { ...LOCAL_CREDENTIALS, accessKeyId: 'OTHER' });
    await expect(post('x')).rejects.toMatchObject({ name: 'UnrecognizedClientException' });
    const url = `${bench.managementUrl}/@connections/${ConnectionId}`;
    expect((await fetch(url, { method: 'POST', body: 'x' })).status).toBe(403);
    expect((await fetch(url, { method: 'DELETE' })).status).toBe(403);
  });

  test('refuses a client with another host name', async () => {
    await expect(bench.connect({ Host: 'attacker.example' })).rejects.toThrow('403');
  });

  test('posts texts with any characters in order', async () => {
    await post('{"ü":"€"}');
    await post('second');
    expect([await client.next(), await client.next()]).toEqual(['{"ü":"€"}', 'second']);
  });

  test('posts up to 128 KB completely, even two at the same time', async () => {
    const texts = ['a', 'b'].map((letter) => letter.repeat(128 * KB));
    await Promise.all(texts.map((text) => post(text)));
    expect([await client.next(), await client.next()].sort()).toEqual(texts);
  });

  test('refuses more than 128 KB', async () => {
    await expect(post('x'.repeat(128 * KB + 1))).rejects.toBeInstanceOf(PayloadTooLargeException);
  });

  test('is available at the domain name and stage in the functions’ events', async () => {
    client.socket.send('x');
    const { requestContext } = await bench.event('fallback');
    sdk = clientOf(`http://${requestContext.domainName}/${requestContext.stage}`);
    await post('hello');
    expect(await client.next()).toBe('hello');
  });

  test('returns identity, connection time and last activity of a connection', async () => {
    const connectedAt = new Date(bench.clock.now());
    bench.clock.advance(5_000);
    await post('x');
    const { ConnectedAt, LastActiveAt, Identity } = await sdk.send(
      new GetConnectionCommand({ ConnectionId }),
    );
    expect({ ConnectedAt, LastActiveAt, Identity }).toEqual({
      ConnectedAt: connectedAt,
      LastActiveAt: new Date(bench.clock.now()),
      Identity: { SourceIp: '127.0.0.1', UserAgent: 'agent/1' },
    });
  });

  test('closes a connection and calls $disconnect', async () => {
    await sdk.send(new DeleteConnectionCommand({ ConnectionId }));
    await expect(post('late')).rejects.toBeInstanceOf(GoneException);
    expect(await client.closed).toMatchObject({ code: 1000 });
    expect(await bench.event('disconnect')).toMatchObject({
      requestContext: { disconnectStatusCode: 1000, disconnectReason: 'Connection Closed Normally' },
    });
  });

  test.each([
    ['GET', (id: string) => sdk.send(new GetConnectionCommand({ ConnectionId: id }))],
    ['DELETE', (id: string) => sdk.send(new DeleteConnectionCommand({ ConnectionId: id }))],
    ['POST', (id: string) => post('x', id)],
  ])('responds with Gone to a %s of a connection that does not exist', async (_, call) => {
    await expect(call('L0SM9cOFvHcCIhw=')).rejects.toBeInstanceOf(GoneException);
  });

  test('responds with Gone when the client has disconnected', async () => {
    client.socket.terminate();
    await bench.event('disconnect');
    await expect(post('x')).rejects.toBeInstanceOf(GoneException);
  });

  test('responds with Gone before $connect has succeeded', async () => {
    const asked = Promise.withResolvers<string>();
    const go = Promise.withResolvers<void>();
    await bench.close();
    bench = await openBench({
      connect: async (event) => {
        asked.resolve(event.requestContext.connectionId);
        await go.promise;
        return { statusCode: 200 };
      },
    });
    sdk = clientOf(bench.managementUrl);
    const connecting = bench.connect();
    const id = await asked.promise;
    await expect(post('early', id)).rejects.toBeInstanceOf(GoneException);
    go.resolve();
    client = await connecting;
    await post('now', id);
    expect(await client.next()).toBe('now');
  });
});
