import { chmodSync, lstatSync, mkdirSync, rmSync } from 'node:fs';
import type { Server } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { dirname } from 'node:path';
import { UsageError } from '../errors.ts';

type Endpoint =
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number };

const LOOPBACK = new Set(['127.0.0.1', 'localhost', '::1']);
/** The operating system's limit for the path of a socket. */
const MAX_PATH_BYTES = 107;

/** Parses an address in the format of `docker -H`: `unix:///run/bulkhead.sock` or `tcp://127.0.0.1:2375`. */
export const parseEndpoint = (text: string): Endpoint => {
  const [, path] = /^unix:\/\/(\/.+)$/.exec(text) ?? [];
  if (path !== undefined) {
    if (Buffer.byteLength(path) <= MAX_PATH_BYTES) return { kind: 'unix', path };
    throw new UsageError(
      `The path of a socket can have at most ${MAX_PATH_BYTES} bytes.`,
      'Use a shorter path.',
    );
  }
  const [, bracketed, plain, port] = /^tcp:\/\/(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text) ?? [];
  const host = bracketed ?? plain;
  if (host === undefined || Number(port) > 65_535)
    throw new UsageError(
      `"${text}" is not an address to listen on.`,
      'Use unix:///PATH or tcp://127.0.0.1:PORT.',
    );
  if (!LOOPBACK.has(host))
    throw new UsageError(
      `Other machines can reach ${host}, and every client of the bridge acts with your token.`,
      'Use tcp://127.0.0.1:PORT, and connect from other machines through ssh.',
    );
  return { kind: 'tcp', host: host === 'localhost' ? '127.0.0.1' : host, port: Number(port) };
};

const hasListener = (path: string): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });

/** Removes a socket that has no listener. Refuses any other file. */
const removeStaleSocket = async (path: string): Promise<void> => {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return;
  if (!found.isSocket()) throw new UsageError(`${path} exists and is not a socket.`, 'Use another --host.');
  if (await hasListener(path))
    throw new UsageError(`Another process listens on ${path}.`, 'Use another --host.');
  rmSync(path);
};

const listening = (server: Server, begin: () => void): Promise<void> =>
  new Promise((resolve, reject) => {
    server.once('error', reject);
    server.once('listening', () => {
      server.off('error', reject);
      resolve();
    });
    begin();
  });

/** @returns the address, in the format of `docker -H` */
export const listen = async (server: Server, endpoint: Endpoint): Promise<string> => {
  if (endpoint.kind === 'tcp') {
    await listening(server, () => server.listen(endpoint.port, endpoint.host));
    const { port } = server.address() as AddressInfo;
    return `tcp://${endpoint.host.includes(':') ? `[${endpoint.host}]` : endpoint.host}:${port}`;
  }
  mkdirSync(dirname(endpoint.path), { recursive: true, mode: 0o700 });
  await removeStaleSocket(endpoint.path);
  // The socket is private from its creation, because every client acts with this user's token.
  const mask = process.umask(0o177);
  try {
    await listening(server, () => server.listen(endpoint.path));
  } finally {
    process.umask(mask);
  }
  chmodSync(endpoint.path, 0o600);
  return `unix://${endpoint.path}`;
};
