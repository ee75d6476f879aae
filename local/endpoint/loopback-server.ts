/**
 * The loopback HTTP server for AWS's protocols: JSON services by `x-amz-target`,
 * and mounted handlers (Lambda's REST API) by path. Every request must be signed with the state directory's credentials.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { FrontDoor, Log, RequestHandler } from '../engine.ts';
import { EngineStartError, ServiceError } from '../errors.ts';
import { asRecord, type Json } from '../template/json.ts';
import type { Credentials } from './credentials.ts';
import type { JsonService } from './json-service.ts';
import { isFromWebPage, isLoopbackHost } from './refuse-browsers.ts';
import { verifySignature } from './verify-signature.ts';

const largestRequest = 7 * 1024 * 1024;

/** Bodies that were read for the signature check. */
const bodies = new WeakMap<IncomingMessage, Buffer>();

const readBytes = async (request: IncomingMessage): Promise<Buffer> => {
  const known = bodies.get(request);
  if (known !== undefined) return known;
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request) {
    size += (chunk as Buffer).length;
    if (size > largestRequest)
      throw new ServiceError('RequestEntityTooLarge', 'the request is too large', 413);
    chunks.push(chunk as Buffer);
  }
  const body = Buffer.concat(chunks);
  bodies.set(request, body);
  return body;
};

/** The body as text. @throws ServiceError if it exceeds the limit of every AWS API. */
export const readBody = async (request: IncomingMessage): Promise<string> =>
  (await readBytes(request)).toString();

/** Error codes whose names differ between SQS's JSON protocol and its older query protocol. */
const queryErrors: Readonly<Record<string, string>> = {
  QueueDoesNotExist: 'AWS.SimpleQueueService.NonExistentQueue',
};

export const sendJson = (response: ServerResponse, status: number, body: unknown, headers = {}): void => {
  const text = JSON.stringify(body);
  response.writeHead(status, {
    'content-type': 'application/x-amz-json-1.1',
    'content-length': Buffer.byteLength(text),
    ...headers,
  });
  response.end(text);
};

export const sendError = (response: ServerResponse, error: unknown, log: Log): void => {
  if (!(error instanceof ServiceError))
    log.error('a local service failed', { error: String(error), stack: (error as Error).stack });
  const known =
    error instanceof ServiceError ? error : new ServiceError('InternalFailure', String(error), 500);
  const query = queryErrors[known.code];
  sendJson(
    response,
    known.status,
    { __type: known.code, message: known.message },
    { 'x-amzn-errortype': known.code, ...(query && { 'x-amzn-query-error': `${query};Sender` }) },
  );
};

/** Handles a verified request instead of a service. */
export type Forward = (request: IncomingMessage, body: Buffer, response: ServerResponse) => Promise<void>;

export class LoopbackServer implements FrontDoor {
  url = '';
  readonly #log: Log;
  readonly #credentials: Credentials;
  readonly #server: Server;
  readonly #forwards = new Map<string, Forward>();
  readonly #services = new Map<string, JsonService>();
  readonly #mounts: { readonly prefix: string; readonly handler: RequestHandler }[] = [];

  constructor(log: Log, credentials: Credentials) {
    this.#log = log;
    this.#credentials = credentials;
    this.#server = createServer((request, response) => void this.#handle(request, response));
    this.#server.keepAliveTimeout = 30_000;
  }

  /** @param preferredPort used if it is free. @returns the port. @throws EngineStartError */
  async listen(preferredPort: number): Promise<number> {
    const port = (await this.#tryListen(preferredPort)) ?? (await this.#tryListen(0));
    if (port === undefined) throw new EngineStartError('no free port on 127.0.0.1');
    this.url = `http://127.0.0.1:${port}`;
    return port;
  }

  serve(service: JsonService): void {
    this.#services.set(service.prefix, service);
  }

  /** @param prefix of `x-amz-target` */
  forward(prefix: string, forward: Forward): void {
    this.#forwards.set(prefix, forward);
  }

  mount(prefix: string, handler: RequestHandler): void {
    this.#mounts.push({ prefix, handler });
    this.#mounts.sort((left, right) => right.prefix.length - left.prefix.length);
  }

  async close(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeAllConnections();
    await closed;
  }

  #tryListen(port: number): Promise<number | undefined> {
    return new Promise((resolve) => {
      const refuse = () => resolve(undefined);
      this.#server.once('error', refuse);
      this.#server.listen(port, '127.0.0.1', () => {
        this.#server.off('error', refuse);
        const address = this.#server.address();
        resolve(typeof address === 'object' ? address?.port : undefined);
      });
    });
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      const path = request.url ?? '/';
      await this.#authenticate(request, path);
      for (const { prefix, handler } of this.#mounts) {
        if (path.startsWith(prefix) && (await handler(request, response))) return;
      }
      await this.#callService(request, response);
    } catch (error) {
      if (response.headersSent) response.destroy();
      else sendError(response, error, this.#log);
    }
  }

  async #authenticate(request: IncomingMessage, url: string): Promise<void> {
    const { headers, method = 'GET' } = request;
    if (!isLoopbackHost(headers))
      throw new ServiceError('AccessDeniedException', 'only loopback host names are served', 403);
    if (isFromWebPage(headers))
      throw new ServiceError('AccessDeniedException', 'web pages are not served', 403);
    const body = await readBytes(request);
    verifySignature({ method, url, headers, body }, this.#credentials, Date.now());
  }

  async #callService(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const [prefix = '', operation = ''] = String(request.headers['x-amz-target'] ?? '').split('.');
    const forward = this.#forwards.get(prefix);
    if (forward !== undefined) return forward(request, await readBytes(request), response);
    const service = this.#services.get(prefix);
    if (service === undefined || operation === '') {
      throw new ServiceError(
        'UnknownOperationException',
        `no local service for ${prefix || request.url}`,
        404,
      );
    }
    const text = await readBody(request);
    let input: Json;
    try {
      input = text === '' ? {} : (JSON.parse(text) as Json);
    } catch {
      throw new ServiceError('SerializationException', 'the request is not JSON');
    }
    const answer = await service.call(operation, asRecord(input));
    sendJson(response, 200, answer, {
      'content-type': request.headers['content-type'] ?? 'application/x-amz-json-1.1',
    });
  }
}
