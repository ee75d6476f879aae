import { chmod, chown, mkdir } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';

const FOLDER = 'state';
const NAME = 'state.sock';

/** The socket's path for QEMU, whose `/vm` is the VM's run folder. */
export const STATE_SOCKET_IN_JAIL = `/vm/${FOLDER}/${NAME}`;

export interface StateSocket {
  /** Resolves with the data of the first connection, once it has ended. */
  readonly received: Promise<Buffer>;
  close(): void;
}

/**
 * Receives the saved state of a VM. All VMs are cloned from it, so only the worker's user can connect, and only once. The socket
 * is created in a folder that other users cannot access, so that the umask does not matter until its owner is set.
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
