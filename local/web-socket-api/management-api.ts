/**
 * `@connections`: how functions reach the clients of a WebSocket API.
 * @see https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-how-to-call-websocket-api-connections.html
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { BodyTooLargeError, readBody } from '../api-gateway/read-body.ts';
import type { Connection } from './connection.ts';

export interface Connections {
  /** One that is open, of that stage. */
  find(stage: string, connectionId: string): Connection | undefined;
}

interface Answer {
  readonly status: number;
  /** Of the API's exceptions. */
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

const post = async (
  connection: Connection,
  request: IncomingMessage,
  limitBytes: number,
): Promise<Answer> => {
  try {
    const body = await readBody(request, limitBytes);
    return (await connection.send(body)) ? { status: 200 } : GONE;
  } catch (error) {
    if (!(error instanceof BodyTooLargeError)) throw error;
    const message = `the message is larger than ${limitBytes} bytes`;
    return { status: 413, error: 'PayloadTooLargeException', body: { message } };
  }
};

const answerOf = async (
  connection: Connection | undefined,
  request: IncomingMessage,
  limitBytes: number,
): Promise<Answer> => {
  if (connection === undefined) {
    request.resume();
    return GONE;
  }
  if (request.method === 'POST') return await post(connection, request, limitBytes);
  if (request.method === 'GET') return describe(connection);
  if (request.method !== 'DELETE') return { status: 405, body: { message: 'Method Not Allowed' } };
  connection.end({ code: 1000, reason: 'Connection Closed Normally' });
  return { status: 204 };
};

/** Serves the request where it is one to `/{stage}/@connections/{id}`. @returns whether it was */
export const serveManagement = async (
  connections: Connections,
  limitBytes: number,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<boolean> => {
  const [, stage, id] = PATH.exec((request.url ?? '').replace(/\?.*$/, '')) ?? [];
  if (stage === undefined || id === undefined) return false;
  const connection = connections.find(stage, decodeURIComponent(id));
  const answer = await answerOf(connection, request, limitBytes);
  const body = answer.body === undefined ? '' : JSON.stringify(answer.body);
  response.writeHead(answer.status, {
    ...(answer.error === undefined ? {} : { 'x-amzn-errortype': answer.error }),
    ...(body === '' ? {} : { 'content-type': 'application/json' }),
  });
  response.end(body);
  return true;
};
