import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { isLoopbackHost } from '../endpoint/refuse-browsers.ts';
import type { RequestHandler } from '../engine.ts';
import { EngineStartError } from '../errors.ts';
import type { HttpApi } from '../http-api/http-api.ts';
import type { WebSocketApi } from '../web-socket-api/web-socket-api.ts';
import { findPortOwner } from './port-owner.ts';

/** A local service on the port of the API, such as the token issuer. */
export interface Mount {
  /** Such as `/oidc`: it gets every path below. */
  readonly prefix: string;
  /** For an OIDC issuer: its name, as configured in authorizers. */
  readonly issuer?: string;
  readonly handle: RequestHandler;
}

/** The port is in use. The message names the port, its owner if known, and a solution. */
export class PortTakenError extends EngineStartError {
  constructor(port: number, owner: string | undefined) {
    super(
      `Port ${port} is in use by ${owner ?? 'another process'}. ` +
        `Stop that process, or choose another port: npm start -- --port ${port + 1}`,
    );
  }
}

/** API Gateway accepts request lines and headers of 10,240 bytes in total. */
const HEADER_BYTES = 10_240;

const starting = (response: ServerResponse): void => {
  response.writeHead(503, { 'content-type': 'application/json', 'retry-after': '1' });
  response.end(JSON.stringify({ message: 'Service Unavailable' }));
};

/** The response of API Gateway for an unknown host name. */
const refuseHost = (response: ServerResponse): void => {
  response.writeHead(403, { 'content-type': 'application/json' });
  response.end(JSON.stringify({ message: 'Forbidden' }));
};

/** One loopback port, on which at most one HTTP API and one WebSocket API are served. */
export class Listener {
  readonly #server: Server;
  readonly #mounts: readonly Mount[];
  readonly #host: string;
  #port = 0;
  #isReady = false;
  httpApi: HttpApi | undefined;
  webSocketApi: WebSocketApi | undefined;

  constructor(host: string, mounts: readonly Mount[]) {
    this.#host = host;
    this.#mounts = mounts;
    this.#server = createServer({ maxHeaderSize: HEADER_BYTES }, (request, response) => {
      this.#serve(request, response).catch((error: unknown) => response.destroy(error as Error));
    });
    this.#server.on('upgrade', (request, socket, head) => this.#upgrade(request, socket, head));
  }

  /** Host and port, such as `127.0.0.1:8420`. */
  get domainName(): string {
    return `${this.#host}:${this.#port}`;
  }

  /** @param port 0 for any free port. @throws PortTakenError */
  async listen(port: number): Promise<void> {
    const listening = Promise.withResolvers<void>();
    this.#server.once('error', (error: NodeJS.ErrnoException) =>
      listening.reject(error.code === 'EADDRINUSE' ? new PortTakenError(port, findPortOwner(port)) : error),
    );
    this.#server.listen(port, this.#host, () => listening.resolve());
    await listening.promise;
    const address = this.#server.address();
    this.#port = typeof address === 'object' && address !== null ? address.port : port;
  }

  /** Until then the API returns 503. Mounted services are served at once. */
  ready(): void {
    this.#isReady = true;
  }

  refuse(): void {
    this.#isReady = false;
  }

  async close(): Promise<void> {
    this.webSocketApi?.dispose();
    this.httpApi?.close();
    if (!this.#server.listening) return;
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#server.closeAllConnections();
    await closed;
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (!isLoopbackHost(request.headers)) return refuseHost(response);
    const path = (request.url ?? '/').replace(/\?.*$/, '');
    const mount = this.#mounts.find(({ prefix }) => path === prefix || path.startsWith(`${prefix}/`));
    if (mount !== undefined && (await mount.handle(request, response))) return;
    if (!this.#isReady) return starting(response);
    if (await this.webSocketApi?.handle(request, response)) return;
    if (this.httpApi !== undefined) return await this.httpApi.handle(request, response);
    response.writeHead(403, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ message: 'Forbidden' }));
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    if (!isLoopbackHost(request.headers)) {
      socket.end('HTTP/1.1 403 Forbidden\r\nconnection: close\r\ncontent-length: 0\r\n\r\n');
      return;
    }
    const isWebSocket = request.headers.upgrade?.toLowerCase() === 'websocket';
    if (!this.#isReady || !isWebSocket || this.webSocketApi === undefined) {
      socket.end('HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\ncontent-length: 0\r\n\r\n');
      return;
    }
    this.webSocketApi
      .upgrade(request, socket, head)
      .catch((error: unknown) => socket.destroy(error as Error));
  }
}
