import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { DockerError } from './errors.ts';

/** A request to the bridge. The response is either an HTTP response or an upgraded connection. */
export interface Exchange {
  /** Path parameters of the route. */
  readonly params: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  /** The version of Docker's API that the client uses; the newest if its path has none. */
  readonly version: string;
  readonly body: unknown;
  /** Aborts when the client disconnects. */
  readonly signal: AbortSignal;
  json(status: number, value: unknown): void;
  text(status: number, value: string): void;
  /** Sends a response without a body. */
  empty(status: number): void;
  /** Sends the headers now and chunks later; resolves when the client can receive more. */
  stream(contentType: string): (piece: string | Uint8Array) => Promise<void>;
  /** The raw connection: after an upgrade, or after plain headers if the client did not request one. */
  hijack(contentType: string): Duplex;
}

/** Maximum size of a body. Docker's bodies are small. */
const MAX_BODY_BYTES = 4 * 1024 * 1024;

export const parseBody = (bytes: Buffer): unknown => {
  if (bytes.length === 0) return undefined;
  try {
    return JSON.parse(bytes.toString());
  } catch (cause) {
    throw new DockerError(400, 'the body is not JSON', { cause });
  }
};

export const readBody = async (request: IncomingMessage): Promise<Buffer> => {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > MAX_BODY_BYTES) throw new DockerError(413, 'the body is too large');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
};

/**
 * The body of an upgrade request, which Node leaves on the socket.
 * @param head bytes that arrived with the headers
 * @returns the body; bytes after it remain on the socket
 */
export const readUpgradeBody = async (
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
): Promise<Buffer> => {
  const length = Number(request.headers['content-length'] ?? 0);
  if (!Number.isInteger(length) || length < 0 || length > MAX_BODY_BYTES)
    throw new DockerError(413, 'the body is too large');
  let read = head;
  while (read.length < length) {
    const chunk = (socket.read() as Buffer | null) ?? (await nextChunk(socket));
    if (chunk === null) throw new DockerError(400, 'the body is incomplete');
    read = Buffer.concat([read, chunk]);
  }
  if (read.length > length) socket.unshift(read.subarray(length));
  return read.subarray(0, length);
};

/** @returns null at the end of the connection */
const nextChunk = (socket: Duplex): Promise<Buffer | null> =>
  new Promise((resolve) => {
    const settle = (): void => {
      for (const event of ['readable', 'end', 'close', 'error']) socket.off(event, settle);
      resolve(socket.read() as Buffer | null);
    };
    for (const event of ['readable', 'end', 'close', 'error']) socket.once(event, settle);
  });

/** Everything that sends an ordinary response. */
export type Responder = Pick<Exchange, 'json' | 'text' | 'empty' | 'stream'>;

/** Writes responses to a plain HTTP request. */
export const httpResponder = (response: ServerResponse): Responder => ({
  json(status, value) {
    const text = `${JSON.stringify(value)}\n`;
    response.writeHead(status, {
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(text),
    });
    response.end(text);
  },
  text(status, value) {
    const length = Buffer.byteLength(value);
    response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8', 'content-length': length });
    response.end(value);
  },
  empty(status) {
    response.writeHead(status, status === 204 || status === 304 ? {} : { 'content-length': 0 });
    response.end();
  },
  stream(contentType) {
    response.writeHead(200, { 'content-type': contentType });
    response.flushHeaders();
    return (piece) =>
      new Promise((resolve) => {
        if (response.write(piece) || response.destroyed) return resolve();
        response.once('drain', resolve);
        response.once('close', resolve);
      });
  },
});

/** Writes responses to an upgrade request to its socket, because Node provides no response object for it. */
export const socketResponder = (socket: Duplex): Responder => {
  const write = (status: number, headers: string, body: string): void =>
    void socket.end(`HTTP/1.1 ${status} ${status}\r\nConnection: close\r\n${headers}\r\n${body}`);
  return {
    json(status, value) {
      const text = `${JSON.stringify(value)}\n`;
      write(status, `Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(text)}\r\n`, text);
    },
    text(status, value) {
      const length = Buffer.byteLength(value);
      write(status, `Content-Type: text/plain; charset=utf-8\r\nContent-Length: ${length}\r\n`, value);
    },
    empty: (status) => write(status, 'Content-Length: 0\r\n', ''),
    stream() {
      throw new DockerError(400, 'this response is not possible on an upgraded connection');
    },
  };
};

export const upgradeResponse = (contentType: string): string =>
  `HTTP/1.1 101 UPGRADED\r\nContent-Type: ${contentType}\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n`;

/** The headers before a raw stream without an upgrade. The stream ends with the connection. */
export const plainResponse = (contentType: string): string =>
  `HTTP/1.1 200 OK\r\nContent-Type: ${contentType}\r\n\r\n`;

/** Takes a connection away from Node's HTTP server, whose body was read. From now on its bytes are not HTTP. */
export const takeSocket = (socket: Socket, response: ServerResponse): void => {
  response.detachSocket(socket);
  // The first listener ends the direct connection of socket and parser. Then the parser's own listeners are removed.
  socket.on('data', () => undefined);
  for (const event of ['data', 'readable', 'end', 'close', 'error', 'drain', 'timeout'])
    socket.removeAllListeners(event);
  socket.setTimeout(0);
  socket.pause();
};
