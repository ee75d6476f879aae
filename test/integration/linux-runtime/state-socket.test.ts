import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { listenForState, type StateSocket } from '../../../agent/runtimes/linux/vm/state-socket.ts';

const asRoot = process.getuid?.() === 0 ? describe : describe.skip;
const WORKER = 3_000_001;
const OTHER_USER = 3_000_002;
const CONNECT = `
  const socket = require('node:net').createConnection(process.argv[1]);
  socket.once('error', ({ code }) => console.log(code));
  socket.once('connect', () => socket.end('from a user'));
  socket.once('close', () => process.exit());`;

/** Sends some bytes as that user. Returns the error of the connection; empty if it succeeded. */
const sendAs = async (uid: number, path: string): Promise<string> => {
  const options = { uid, gid: uid, cwd: '/', env: {} };
  const { stdout } = await promisify(execFile)(process.execPath, ['-e', CONNECT, path], options);
  return stdout.trim();
};

asRoot('the socket that a template is saved through', () => {
  let run: string;
  let path: string;
  let socket: StateSocket;
  beforeEach(async () => {
    run = mkdtempSync(join(tmpdir(), 'bulkhead-state-'));
    // All users can traverse it, like the folder of a worker.
    chmodSync(run, 0o711);
    path = join(run, 'state', 'state.sock');
    const umask = process.umask(0);
    socket = await listenForState(run, WORKER);
    process.umask(umask);
  });
  afterEach(() => {
    socket.close();
    rmSync(run, { recursive: true });
  });

  test('is private to the worker: another user of the host cannot connect', async () => {
    const { uid, mode } = statSync(path);
    expect([uid, mode & 0o777]).toEqual([WORKER, 0o600]);
    expect(await sendAs(OTHER_USER, path)).toBe('EACCES');
    expect(await sendAs(WORKER, path)).toBe('');
    expect(String(await socket.received)).toBe('from a user');
  });

  test('accepts one connection; a second one does not affect it', async () => {
    const first = createConnection(path);
    await once(first, 'connect');
    first.write('first ');
    const second = createConnection(path);
    second.on('error', () => undefined);
    second.end('second');
    // The second connection is refused or dropped.
    await new Promise((resolve) => second.once('close', resolve));
    first.end('and last');
    expect(String(await socket.received)).toBe('first and last');
  });
});
