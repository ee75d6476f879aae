/**
 * `@connections`: functions send messages to clients of a WebSocket API.
 * @see https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-how-to-call-websocket-api-connections.html
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { BodyTooLargeError, readBody } from '../api-gateway/read-body.ts';
import type { Credentials } from '../endpoint/credentials.ts';
import { verifySignature } from '../endpoint/verify-signature.ts';
import { ServiceError } from '../errors.ts';
import type { Connection } from './connection.ts';

interface Answer {
  readonly status: number;
  /** Name of the API's exception. */
  readonly error?: string;
  readonly body?: unknown;
}

const PATH = /^\/([^/]+)\/(?:@|%40)connections\/([^/?]+)$/;
const GONE: Answer = { status: 410, error: 'GoneException', body: { message: 'Gone' } };

const isoTime = (epochMs: number): string => new Date(epochMs).toISOString();

const describe = ({ facts, lastActiveAt }: Connection): Answer => ({
  status: 200,
  body: {
    connectedAt: isoTime(facts.connectedAt),
    identity: facts.identity,
    lastActiveAt: isoTime(lastActiveAt),
  },
});

const post = async (connection: Connection, body: Buffer): Promise<Answer> =>
  (await connection.send(body)) ? { status: 200 } : GONE;

const answerOf = async (
  connection: Connection | undefined,
  method: string | undefined,
  body: Buffer,
): Promise<Answer> => {
  if (connection === undefined) return GONE;
  if (method === 'POST') return await post(connection, body);
  if (method === 'GET') return describe(connection);
  if (method !== 'DELETE') return { status: 405, body: { message: 'Method Not Allowed' } };
  connection.end({ code: 1000, reason: 'Connection Closed Normally' });
  return { status: 204 };
};

export interface ManagementDeps {
  /** An open connection of the stage. */
  readonly find: (stage: string, id: string) => Connection | undefined;
  /** The credentials for signing requests. */
  readonly credentials: Credentials;
  readonly limitBytes: number;
}

/** The response to a signed request. */
const authenticatedAnswer = async (
  { find, credentials, limitBytes }: ManagementDeps,
  [stage, id]: readonly [string, string],
  request: IncomingMessage,
): Promise<Answer> => {
  const { method = 'GET', url = '/', headers } = request;
  try {
    const body = await readBody(request, limitBytes);
    verifySignature({ method, url, headers, body }, credentials, Date.now());
    return await answerOf(find(stage, decodeURIComponent(id)), method, body);
  } catch (error) {
    if (error instanceof ServiceError)
      return { status: error.status, error: error.code, body: { message: error.message } };
    if (!(error instanceof BodyTooLargeError)) throw error;
    const message = `the message is larger than ${limitBytes} bytes`;
    return { status: 413, error: 'PayloadTooLargeException', body: { message } };
  }
};

/** Serves requests to `/{stage}/@connections/{id}`. @returns whether the request was one */
export const serveManagement = async (
  deps: ManagementDeps,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<boolean> => {
  const [, stage, id] = PATH.exec((request.url ?? '').replace(/\?.*$/, '')) ?? [];
  if (stage === undefined || id === undefined) return false;
  const answer = await authenticatedAnswer(deps, [stage, id], request);
  const body = answer.body === undefined ? '' : JSON.stringify(answer.body);
  response.writeHead(answer.status, {
    ...(answer.error === undefined ? {} : { 'x-amzn-errortype': answer.error }),
    ...(body === '' ? {} : { 'content-type': 'application/json' }),
  });
  response.end(body);
  return true;
};
