import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createConnection, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { QMP_TIMEOUT_MS, Qmp } from '../../../agent/runtimes/linux/vm/qmp.ts';
import { ManualClock } from '../../helpers/manual-clock.ts';

describe('a connection to QEMU', () => {
  let folder: string;
  let server: Server;
  let client: Socket;
  let peer: Socket;
  let clock: ManualClock;
  beforeEach(async () => {
    clock = new ManualClock();
    folder = mkdtempSync(join(tmpdir(), 'bulkhead-qmp-'));
    server = createServer().listen(join(folder, 'qmp.sock'));
    await once(server, 'listening');
    const connected = once(server, 'connection') as Promise<[Socket]>;
    client = createConnection(join(folder, 'qmp.sock'));
    [peer] = await connected;
  });
  afterEach(() => {
    client.destroy();
    peer.destroy();
    server.close();
    rmSync(folder, { recursive: true });
  });

  test.each([
    ['invalid JSON', 'no JSON'],
    ['half a document', '{"return": '],
    ['JSON that is not a message', '[]'],
    ['an invalid error', '{"error": 1, "id": 1}'],
  ])('ends at %s, and so do the commands that wait', async (_, line) => {
    const opened = Qmp.open(client, clock);
    peer.write(`${line}\n`);
    await expect(opened).rejects.toThrow('process has ended');
    expect(client.destroyed).toBe(true);
  });

  test('ends if QEMU does not answer in time, and so do all commands', async () => {
    const opened = Qmp.open(client, clock);
    peer.write('{"return": {}, "id": 1}\n');
    const qmp = await opened;
    const commands = [qmp.execute('query-name'), qmp.execute('query-status')];
    const outcomes = Promise.allSettled(commands);
    await clock.pass(QMP_TIMEOUT_MS);
    for (const outcome of await outcomes)
      expect(outcome).toMatchObject({
        status: 'rejected',
        reason: { message: 'The utility VM’s process did not answer query-name within 30 s' },
      });
    expect(client.destroyed).toBe(true);
    await expect(qmp.execute('query-name')).rejects.toThrow('did not answer');
  });

  test('skips events and blank lines', async () => {
    const opened = Qmp.open(client, clock);
    peer.write('{"QMP": {"version": {}}}\n\n{"event": "RESUME", "data": {}}\n{"return": {}, "id": 1}\n');
    const answer = (await opened).execute('query-name');
    peer.write('{"return": {"name": "one"}, "id": 2}\n');
    expect(await answer).toEqual({ name: 'one' });
  });
});
