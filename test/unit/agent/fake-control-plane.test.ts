import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { WebSocket } from 'ws';
import { systemClock } from '../../../agent/clock.ts';
import { signHostToken } from '../../../agent/link/host-token.ts';
import { type HostKey, loadOrMakeKey } from '../../../agent/link/identity.ts';
import { simulatedMachine } from '../../../agent/runtimes/simulated/kinds.ts';
import { ENROLLMENT_TOKEN, FakeControlPlane } from '../../helpers/fake-control-plane.ts';

const { facts } = simulatedMachine('linux');
let plane: FakeControlPlane;
let directory: string;
let key: HostKey;

beforeEach(async () => {
  plane = await new FakeControlPlane().start();
  directory = mkdtempSync(join(tmpdir(), 'bulkhead-key-'));
  key = loadOrMakeKey(directory);
});
afterEach(async () => {
  await plane.stop();
  rmSync(directory, { recursive: true, force: true });
});

const enroll = async (publicKey = key.publicKey, token = ENROLLMENT_TOKEN) => {
  const response = await fetch(`${plane.apiUrl}/v1/hosts/enrollments`, {
    method: 'POST',
    body: JSON.stringify({ token, name: 'host', publicKey, agentVersion: '1', facts }),
  });
  return { status: response.status, body: (await response.json()) as Record<string, string> };
};

const tokenFor = (hostId: string, tenant = 'acme', signer = key) =>
  signHostToken({ hostId, tenant }, signer, { clock: systemClock, newId: randomUUID });

/** An open socket, or the status of the refusal. */
const connect = async (token: string): Promise<WebSocket | number> => {
  const socket = new WebSocket(`${plane.apiUrl.replace('http', 'ws')}/agents`, {
    headers: { authorization: `Bearer ${token}` },
  });
  return new Promise((resolve) => {
    socket.on('open', () => resolve(socket));
    socket.on('unexpected-response', (_, { statusCode = 0 }) => resolve(statusCode));
    socket.on('error', () => undefined);
  });
};

const opened = async (): Promise<{ socket: WebSocket; received: Record<string, unknown>[] }> => {
  const { body } = await enroll();
  const socket = await connect(await tokenFor(body.hostId ?? ''));
  if (typeof socket === 'number') throw new TypeError(`refused with ${socket}`);
  const received: Record<string, unknown>[] = [];
  socket.on('message', (data) => received.push(JSON.parse(data.toString())));
  return { socket, received };
};
const say = async (socket: WebSocket, message: unknown) => {
  socket.send(JSON.stringify(message));
  await new Promise((resolve) => socket.once('pong', resolve).ping());
};
const hello = {
  action: 'hello',
  messageId: 'h',
  protocol: 1,
  agentVersion: '1',
  facts,
  images: [],
  observed: [],
};

describe('the fake control plane', () => {
  test('enrolls one host per token, and the same host again', async () => {
    const first = await enroll();
    expect(first.status).toBe(201);
    expect((await enroll()).body.hostId).toBe(first.body.hostId);
    expect((await enroll('A'.repeat(43))).status).toBe(401);
    expect((await enroll(key.publicKey, 'another-token-0000')).status).toBe(401);
  });

  test('accepts only connections with proof of the host’s identity, and each proof once', async () => {
    const { body } = await enroll();
    const hostId = body.hostId ?? '';
    const unknown = loadOrMakeKey(mkdtempSync(join(directory, 'unknown-')));
    expect(await connect('')).toBe(403);
    expect(await connect(await tokenFor(hostId, 'acme', unknown))).toBe(403);
    expect(await connect(await tokenFor(hostId, 'other-tenant'))).toBe(403);
    expect(await connect(await tokenFor(randomUUID()))).toBe(403);
    const token = await tokenFor(hostId);
    expect(await connect(token)).toBeInstanceOf(WebSocket);
    expect(await connect(token)).toBe(403);
  });

  test('sends a welcome and acknowledgements, and resends a command until it is answered', async () => {
    const { socket, received } = await opened();
    const command = {
      id: 'c',
      hostId: randomUUID(),
      containerId: null,
      epoch: 1,
      ttlSeconds: 1,
      arguments: { verb: 'listHostProcesses' as const },
    };
    plane.give(command);
    await say(socket, hello);
    await say(socket, { action: 'heartbeat', inProgress: [] });
    const given = () => received.filter(({ action }) => action === 'command').length;
    expect(given()).toBe(3);
    const result = { status: 'succeeded', commandId: 'c', steps: [], observed: null };
    await say(socket, { action: 'result', messageId: 'r', result });
    expect(await plane.result('c')).toEqual(result);
    await say(socket, { action: 'heartbeat', inProgress: [] });
    expect(given()).toBe(3);
    const answers = received.filter(({ action }) => action !== 'command');
    expect(answers).toMatchObject([
      { action: 'welcome', messageId: 'h' },
      { action: 'ack', messageId: 'r' },
    ]);
    expect(plane.violations).toEqual([]);
  });

  test('records violations of the contract', async () => {
    const { socket } = await opened();
    await say(socket, { action: 'heartbeat', inProgress: [] });
    await say(socket, { action: 'sing' });
    await say(socket, { ...hello, images: [], agentVersion: 'x'.repeat(40_000) });
    expect(plane.violations).toEqual([
      'the first message is no hello',
      expect.stringMatching(/^message: /),
      expect.stringMatching(/^a frame of 40\d+ bytes$/),
      expect.stringMatching(/^message: .*agentVersion/),
    ]);
  });

  test('injects the configured faults', async () => {
    const { socket, received } = await opened();
    plane.faults.loseAck = () => true;
    await say(socket, hello);
    expect(plane.messages).toHaveLength(1);
    plane.faults.swallow = () => true;
    await say(socket, hello);
    expect(plane.messages).toHaveLength(1);
    expect(received).toEqual([]);
    plane.faults.cut = () => true;
    socket.send(JSON.stringify(hello));
    await new Promise((resolve) => socket.once('close', resolve));
    expect(plane.messages).toHaveLength(1);
  });
});
