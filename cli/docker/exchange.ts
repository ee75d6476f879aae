import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { DockerError } from './errors.ts';

/** One request to the bridge, and the two ways to answer it: a response, or the connection itself. */
export interface Exchange {
  /** Parts of the path that the route has names for. */
  readonly params: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  readonly body: unknown;
  /** Aborts when the client has gone. */
  readonly signal: AbortSignal;
  json(status: number, value: unknown): void;
  /** An answer without a body. */
  empty(status: number): void;
  /** Headers now, then pieces as they come; resolves when there is room for more. */
  stream(contentType: string): (piece: string | Uint8Array) => Promise<void>;
  /** The connection, from here on without HTTP; undefined if the client did not ask for it. */
  hijack(contentType: string): Duplex | undefined;
}

/** Longest body that is read: docker's are small, and the bridge's peers are programs of this machine. */
const LONGEST_BODY = 4 * 1024 * 1024;

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
    if (length > LONGEST_BODY) throw new DockerError(413, 'the body is too large');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
};

/**
 * The body of a request that asked to become a connection: node leaves it on the socket.
 * @param head what came with the headers
 * @returns the body; what was read beyond it is put back
 */
export const readBodyOfUpgrade = async (
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
): Promise<Buffer> => {
  const length = Number(request.headers['content-length'] ?? 0);
  if (!Number.isInteger(length) || length < 0 || length > LONGEST_BODY)
    throw new DockerError(413, 'the body is too large');
  let read = head;
  while (read.length < length) {
    const chunk = (socket.read() as Buffer | null) ?? (await nextChunk(socket));
    if (chunk === null) throw new DockerError(400, 'the body is cut off');
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

/** Answers a request that came as HTTP. */
export const responding = (response: ServerResponse): Pick<Exchange, 'json' | 'empty' | 'stream'> => ({
  json(status, value) {
    const text = `${JSON.stringify(value)}\n`;
    response.writeHead(status, {
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(text),
    });
    response.end(text);
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

/** Answers a request that asked to become a connection: by hand, for node has let go of it. */
export const respondingOn = (socket: Duplex): Pick<Exchange, 'json' | 'empty' | 'stream'> => {
  const write = (status: number, headers: string, body: string): void =>
    void socket.end(`HTTP/1.1 ${status} ${status}\r\nConnection: close\r\n${headers}\r\n${body}`);
  return {
    json(status, value) {
      const text = `${JSON.stringify(value)}\n`;
      write(status, `Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(text)}\r\n`, text);
    },
    empty: (status) => write(status, 'Content-Length: 0\r\n', ''),
    stream() {
      throw new DockerError(400, 'this answer cannot come over a connection that was asked to be upgraded');
    },
  };
};

export const upgradeResponse = (contentType: string): string =>
  `HTTP/1.1 101 UPGRADED\r\nContent-Type: ${contentType}\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n`;
