import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { Bridge, type BridgeSettings } from './bridge.ts';
import { DockerError } from './errors.ts';
import {
  type Exchange,
  httpResponder,
  parseBody,
  plainResponse,
  type Responder,
  readBody,
  readUpgradeBody,
  socketResponder,
  takeSocket,
  upgradeResponse,
} from './exchange.ts';
import { findRoute } from './router.ts';
import { checkQuery, type Services } from './routes/route.ts';
import { osTypeOf } from './routes/system.ts';
import { Runs } from './runs.ts';
import { toDockerError } from './translate/error.ts';
import { API_VERSION } from './versions.ts';

/**
 * The Docker Engine API on top of Bulkhead's API.
 *
 * Every client of the socket acts with the bridge's token, as with a docker daemon. A web
 * page in a browser can reach loopback over TCP. So requests with a browser's headers are refused, and over TCP those for another
 * host name. No browser reaches a Unix socket, and its clients send any host name.
 */
const LOOPBACK = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\]|api\.moby\.localhost)?(:\d+)?$/i;

const refuseBrowsers = (server: Server, { headers }: IncomingMessage): void => {
  const isUnixSocket = typeof server.address() === 'string';
  const isLocal = isUnixSocket || LOOPBACK.test(headers.host ?? '');
  if (headers.origin !== undefined || headers['sec-fetch-site'] !== undefined || !isLocal)
    throw new DockerError(403, 'only programs on this machine can use the bridge');
};

const urlOf = (request: IncomingMessage): { path: string; query: URLSearchParams } => {
  const [path = '/', query = ''] = (request.url ?? '/').split(/\?(.*)/s, 2);
  return { path, query: new URLSearchParams(query) };
};

interface Replies {
  readonly answer: Responder;
  readonly hijack: Exchange['hijack'];
  readonly body: () => Promise<Buffer>;
  readonly signal: AbortSignal;
}

const handle = async (services: Services, request: IncomingMessage, replies: Replies): Promise<void> => {
  const { path, query } = urlOf(request);
  const { route, params, version } = findRoute(request.method ?? 'GET', path);
  // Before the body, which can be an archive, and may be large.
  if (route.refusal !== undefined) throw route.refusal;
  checkQuery(route, query);
  const body = parseBody(await replies.body());
  const { answer, hijack, signal } = replies;
  await route.handle(services, { params, query, body, version, signal, hijack, ...answer });
};

/** Aborts when the connection is closed. A half-closed connection is still open. */
const abortOnClose = (connection: Duplex): AbortSignal => {
  const gone = new AbortController();
  connection.once('close', () => gone.abort());
  return gone.signal;
};

/** Ignores errors of a socket that the client closes. */
const ignore = (): void => undefined;

const respond = async (
  server: Server,
  services: Services,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> => {
  response.setHeader('Api-Version', API_VERSION);
  response.setHeader('Docker-Experimental', 'false');
  response.setHeader('Builder-Version', '1');
  response.setHeader('Server', `Bulkhead/${services.bridge.settings.version}`);
  const answer = httpResponder(response);
  const gone = new AbortController();
  const { socket } = request;
  let isHijacked = false;
  response.once('close', () => {
    if (!isHijacked) gone.abort();
  });
  const hijack = (contentType: string): Duplex => {
    isHijacked = true;
    socket.once('close', () => gone.abort());
    takeSocket(socket, response);
    socket.on('error', ignore);
    socket.write(plainResponse(contentType));
    return socket;
  };
  try {
    refuseBrowsers(server, request);
    response.setHeader('Ostype', await osTypeOf(services.bridge));
    const body = () => readBody(request);
    await handle(services, request, { answer, hijack, body, signal: gone.signal });
  } catch (error) {
    const { status, message } = toDockerError(error);
    if (isHijacked) {
      services.bridge.settings.log(message);
      socket.end();
    } else if (!response.headersSent) answer.json(status, { message });
    else if (!gone.signal.aborted) services.bridge.settings.log(message);
  } finally {
    if (!isHijacked && !response.writableEnded) response.end();
  }
};

const respondToUpgrade = async (
  server: Server,
  services: Services,
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
): Promise<void> => {
  socket.on('error', ignore);
  const answer = socketResponder(socket);
  let isHijacked = false;
  const hijack = (contentType: string): Duplex => {
    isHijacked = true;
    socket.write(upgradeResponse(contentType));
    return socket;
  };
  try {
    refuseBrowsers(server, request);
    const body = () => readUpgradeBody(request, socket, head);
    await handle(services, request, { answer, hijack, body, signal: abortOnClose(socket) });
  } catch (error) {
    const { status, message } = toDockerError(error);
    if (isHijacked) {
      services.bridge.settings.log(message);
      socket.end();
    } else answer.json(status, { message });
  }
};

interface DockerBridge {
  readonly server: Server;
  /** Closes all connections and cancels pending requests. Containers keep running. */
  close(): void;
  /** Removes containers of `run --rm` that an earlier bridge left behind. */
  removeLeftovers(): Promise<void>;
}

export const createDockerBridge = (settings: BridgeSettings): DockerBridge => {
  const bridge = new Bridge(settings);
  const closing = new AbortController();
  const services: Services = { bridge, runs: new Runs(bridge, closing.signal), execs: new Map() };
  // A `wait` or `logs -f` can stay open for days without data.
  const server = createServer({ requestTimeout: 0, keepAliveTimeout: 60_000 }, (request, response) => {
    void respond(server, services, request, response);
  });
  server.on('upgrade', (request, socket, head) => {
    // Closing the server does not close upgraded connections.
    closing.signal.addEventListener('abort', () => socket.destroy());
    void respondToUpgrade(server, services, request, socket, head);
  });
  const close = (): void => {
    closing.abort();
    server.close();
    server.closeAllConnections();
  };
  return { server, close, removeLeftovers: () => services.runs.removeLeftovers() };
};
