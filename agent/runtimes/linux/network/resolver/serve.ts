import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { MAX_QUERY_BYTES, type Resolver } from './resolver.ts';

const LENGTH_BYTES = 2;
const IDLE_MS = 10_000;
const CONNECTIONS_PER_CONTAINER = 8;
const CONNECTIONS = 256;

/** @param fd of a bound socket */
export const serveUdp = (resolver: Resolver, fd: number): void => {
  const socket = createSocket('udp4');
  socket.on('message', (bytes, { address, port }) => {
    // A failed query must not end the resolver, which serves all containers.
    resolver.answerDatagram(address, bytes).then(
      (answer) => {
        if (answer) socket.send(answer, port, address, () => {});
      },
      () => {},
    );
  });
  socket.bind({ fd });
};

/** Resolves when the container has read all data, or when the connection has ended. */
const untilRead = async (socket: Socket): Promise<void> => {
  if (socket.destroyed) return;
  const over = new AbortController();
  const { signal } = over;
  try {
    await Promise.race([once(socket, 'drain', { signal }), once(socket, 'close', { signal })]);
  } finally {
    over.abort();
  }
};

/**
 * Serves one message at a time: each is answered before the next is read. A client that does not read its answers gets no more,
 * because unread answers use this process's memory.
 */
export const serveConnection = (
  resolver: Pick<Resolver, 'answerMessage'>,
  socket: Socket,
  source: string,
): void => {
  let received = Buffer.alloc(0);
  const next = async (): Promise<void> => {
    while (received.length >= LENGTH_BYTES) {
      const length = received.readUInt16BE();
      if (length > MAX_QUERY_BYTES) return void socket.destroy();
      if (received.length < LENGTH_BYTES + length) return;
      const answer = await resolver.answerMessage(
        source,
        received.subarray(LENGTH_BYTES, LENGTH_BYTES + length),
      );
      if (answer === null) return void socket.destroy();
      const prefix = Buffer.alloc(LENGTH_BYTES);
      prefix.writeUInt16BE(answer.length);
      if (!socket.write(Buffer.concat([prefix, answer]))) await untilRead(socket);
      received = received.subarray(LENGTH_BYTES + length);
    }
  };
  socket.setTimeout(IDLE_MS, () => socket.destroy());
  socket.on('error', () => {});
  socket.on('data', (bytes) => {
    socket.pause();
    received = Buffer.concat([received, bytes]);
    next().then(
      () => socket.resume(),
      () => socket.destroy(),
    );
  });
};

/** @param fd of a listening socket */
export const serveTcp = (resolver: Resolver, fd: number): void => {
  const open = new Map<string, number>();
  const server = createServer((socket) => {
    const source = socket.remoteAddress ?? '';
    const count = open.get(source) ?? 0;
    if (count >= CONNECTIONS_PER_CONTAINER) return void socket.destroy();
    open.set(source, count + 1);
    socket.once('close', () => {
      const left = (open.get(source) ?? 1) - 1;
      if (left === 0) open.delete(source);
      else open.set(source, left);
    });
    serveConnection(resolver, socket, source);
  });
  server.maxConnections = CONNECTIONS;
  server.listen({ fd });
};
