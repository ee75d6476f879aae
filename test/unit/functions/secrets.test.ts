import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import { createReadSecret, type ReadSecret } from '../../../functions/shared/secrets/read-secret.ts';

const ARN = 'arn:aws:secretsmanager:us-east-1:111122223333:secret:signing';
const CURRENT = { SecretString: 'a secret', CreatedDate: 1_700_000_000.5 };

let server: Server;
let turns: [status: number, body: object][];
let seen: { readonly headers: IncomingMessage['headers']; readonly body: unknown }[];
let read: ReadSecret;

beforeEach(async () => {
  [turns, seen] = [[], []];
  server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    seen.push({ headers: request.headers, body: JSON.parse(Buffer.concat(chunks).toString()) });
    const [status, body] = turns.shift() ?? [500, {}];
    response.writeHead(status).end(JSON.stringify(body));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  read = createReadSecret(
    {
      endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
      region: 'us-east-1',
      credentials: { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'secret' },
      requestHandler: new NodeHttpHandler(),
      sleep: async () => undefined,
      random: () => 0.5,
    },
    ARN,
  );
});
afterEach(() => {
  server.closeAllConnections();
  server.close();
});

describe('reading a secret', () => {
  test('sends one signed request of the service’s JSON protocol', async () => {
    turns = [[200, CURRENT]];
    expect(await read('AWSCURRENT')).toEqual({ value: 'a secret', createdAtMs: 1_700_000_000_500 });
    expect(seen).toMatchObject([
      {
        headers: {
          'x-amz-target': 'secretsmanager.GetSecretValue',
          'content-type': 'application/x-amz-json-1.1',
          authorization: expect.stringMatching(/\/us-east-1\/secretsmanager\/aws4_request/),
        },
        body: { SecretId: ARN, VersionStage: 'AWSCURRENT' },
      },
    ]);
  });

  test('reports a stage without a version', async () => {
    turns = [[400, { __type: 'ResourceNotFoundException' }]];
    expect(await read('AWSPREVIOUS')).toBeUndefined();
  });

  test('is retried once if the service fails, but not if it refuses', async () => {
    turns = [
      [503, {}],
      [200, CURRENT],
      [400, { __type: 'AccessDeniedException' }],
    ];
    expect(await read('AWSCURRENT')).toMatchObject({ value: 'a secret' });
    await expect(read('AWSCURRENT')).rejects.toThrow('Secrets Manager returned 400 AccessDeniedException');
    expect(seen).toHaveLength(3);
  });

  test('does not reveal an unexpected response', async () => {
    turns = [[200, { SecretBinary: 'hidden' }]];
    await expect(read('AWSCURRENT')).rejects.toThrow('no secret string');
  });
});
