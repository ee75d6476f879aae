import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';

/** An abstract socket is a lock that the kernel releases when its process ends. */
const tryLock = async (name: string): Promise<Server | null> => {
  const server = createServer().listen({ path: `\0${name}`, exclusive: true });
  try {
    await once(server, 'listening');
    return server;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EADDRINUSE') return null;
    throw error;
  }
};

/** Waits until the holder closes the connection, or has ended before it was made. */
const waitForHolder = (name: string): Promise<void> =>
  new Promise((resolve) => {
    connect(`\0${name}`)
      .on('error', () => {})
      .on('close', () => resolve())
      .resume();
  });

/**
 * Calls `work` when no other process of this machine is in a call with the same name.
 * @param name at most 100 bytes
 * @returns the result of `work`
 * @throws what `work` throws
 */
export const exclusively = async <T>(name: string, work: () => Promise<T>): Promise<T> => {
  let server = await tryLock(name);
  while (server === null) {
    await waitForHolder(name);
    server = await tryLock(name);
  }
  const waiting = new Set<Socket>();
  server.on('connection', (socket) => waiting.add(socket.on('error', () => {})));
  try {
    return await work();
  } finally {
    server.close();
    for (const socket of waiting) socket.destroy();
  }
};
