import { chmod, chown, mkdir } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';

const FOLDER = 'state';
const NAME = 'state.sock';

/** Where QEMU, whose `/vm` is the VM's run folder, finds the socket. */
export const STATE_SOCKET_IN_JAIL = `/vm/${FOLDER}/${NAME}`;

export interface StateSocket {
  /** Resolves with what the first connection sent, once it has ended. */
  readonly received: Promise<Buffer>;
  close(): void;
}

/**
 * Receives the saved state of a VM. Every VM is cloned from it, so only the worker's user may connect, and only once.
 * The socket is made in a folder that is closed to all others until it is that user's, whatever the umask.
 */
export const listenForState = async (run: string, uid: number): Promise<StateSocket> => {
  const folder = join(run, FOLDER);
  const path = join(folder, NAME);
  const { promise: received, resolve, reject } = Promise.withResolvers<Buffer>();
  received.catch(() => undefined);
  const server = createServer();
  server.maxConnections = 1;
  server.once('connection', (socket) => {
    server.close();
    const pieces: Buffer[] = [];
    socket.on('data', (piece: Buffer) => pieces.push(piece));
    socket.once('close', () => resolve(Buffer.concat(pieces)));
    socket.once('error', reject);
  });
  await mkdir(folder, { mode: 0o700 });
  await new Promise<void>((done, fail) => {
    server.once('error', fail);
    server.listen(path, done);
  });
  await chown(path, uid, uid);
  await chmod(path, 0o600);
  await chmod(folder, 0o711);
  return { received, close: () => server.close() };
};
