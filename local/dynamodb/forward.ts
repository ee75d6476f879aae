/** Forwards DynamoDB calls to the table process over kept-alive connections. */
import { Agent, request } from 'node:http';
import type { Forward } from '../endpoint/loopback-server.ts';
import { ServiceError } from '../errors.ts';
import { unsignedAuthorization } from './dynamo-client.ts';

/** @param endpoint the current endpoint of the process */
export const createForward = (endpoint: () => string): { forward: Forward; close(): void } => {
  const agent = new Agent({ keepAlive: true, maxSockets: 64 });
  const forward: Forward = (incoming, body, response) =>
    new Promise((resolve, reject) => {
      const sent = request(
        endpoint(),
        {
          method: 'POST',
          agent,
          headers: {
            'content-type': incoming.headers['content-type'] ?? 'application/x-amz-json-1.0',
            'content-length': body.length,
            'x-amz-target': incoming.headers['x-amz-target'],
            'x-amz-date': incoming.headers['x-amz-date'],
            authorization: unsignedAuthorization,
          },
        },
        (answer) => {
          response.writeHead(answer.statusCode ?? 502, answer.headers);
          answer.pipe(response).on('finish', resolve).on('error', reject);
        },
      );
      sent.on('error', (error) =>
        reject(new ServiceError('InternalServerError', `DynamoDB does not answer: ${error.message}`, 500)),
      );
      sent.end(body);
    });
  return { forward, close: () => agent.destroy() };
};
