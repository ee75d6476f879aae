import { randomUUID } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { type Agent, createAgent } from '../../../agent/agent.ts';
import { systemClock } from '../../../agent/clock.ts';
import { enroll } from '../../../agent/link/enroll.ts';
import { signHostToken } from '../../../agent/link/host-token.ts';
import { commandKeysIn, loadOrMakeKey, saveEnrollment } from '../../../agent/link/identity.ts';
import { openTransport } from '../../../agent/link/transport.ts';
import { createLog } from '../../../agent/log.ts';
import { createMemoryState } from '../../../agent/state/memory-state.ts';
import { deriveSigningKey } from '../../../core/authenticity/signing-key.ts';
import { container } from '../../helpers/assigned-container.ts';
import { ENROLLMENT_TOKEN, FakeControlPlane } from '../../helpers/fake-control-plane.ts';
import { COMMAND_KEY, signCommand } from '../../helpers/signing.ts';
import { simulatedHost } from '../../helpers/simulated-host.ts';

/** A complete agent on a simulated machine, and a control plane that sends commands that an attacker wrote into the table. */
const log = createLog({ level: 'error', forPeople: false, clock: systemClock, write: () => undefined });
const one = container({ command: ['sleep', '600'] });
let directory: string;
let plane: FakeControlPlane;
let host: ReturnType<typeof simulatedHost>;
let agent: Agent;
let hostId: string;

const startAgent = async () => {
  const key = loadOrMakeKey(directory);
  const { signal } = new AbortController();
  const made = await enroll(
    plane.apiUrl,
    {
      ...{ token: ENROLLMENT_TOKEN, name: 'host', publicKey: key.publicKey, agentVersion: '1' },
      facts: await host.runtime.facts(),
    },
    { clock: systemClock, random: Math.random, log, fetch, signal },
  );
  saveEnrollment(directory, made);
  hostId = made.hostId;
  agent = createAgent({
    ...{ hostId, agentVersion: '1', log, clock: systemClock, random: Math.random, newId: randomUUID },
    state: createMemoryState(systemClock),
    runtime: host.runtime,
    commandKeys: commandKeysIn(directory),
    dial: async (handlers) => {
      const token = await signHostToken(made, key, { clock: systemClock, newId: randomUUID });
      return openTransport(made.webSocketUrl, token, systemClock, handlers);
    },
  });
  await agent.start();
  await plane.until(() => plane.messages.some(({ action }) => action === 'hello'), 'a hello');
};

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'bulkhead-forged-'));
  plane = await new FakeControlPlane().start();
  host = simulatedHost('linux', systemClock);
  await startAgent();
});
afterEach(async () => {
  agent.stop();
  host.runtime.close();
  await plane.stop();
  rmSync(directory, { recursive: true, force: true });
});

const start = (over: object = {}) => ({
  id: randomUUID(),
  hostId,
  containerId: one.id,
  epoch: 1,
  ttlSeconds: 60,
  arguments: { verb: 'startContainer' as const, container: one },
  ...over,
});
const refusalsOf = (id: string) =>
  plane.messages.filter((one) => one.action === 'commandRefused' && one.commandId === id);
const refused = async (id: string) => {
  await plane.until(() => refusalsOf(id).length > 0, `the refusal of ${id}`);
  return refusalsOf(id)[0];
};

describe('an agent', () => {
  test('stores the control plane’s keys from its enrollment in a private file', () => {
    const file = join(directory, 'command-keys.json');
    expect(JSON.parse(readFileSync(file, 'utf8'))).toMatchObject({
      version: 1,
      keys: [{ publicKey: COMMAND_KEY.publicKey }],
    });
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(existsSync(`${file}.new`)).toBe(false);
  });

  test.each<[reason: string, forge: (command: object) => object]>([
    ['unsigned', (command) => ({ command })],
    ['unsigned', (command) => ({ payload: JSON.stringify(command), signature: '', keyId: '' })],
    ['wrong-signature', (command) => ({ ...signCommand({}), payload: JSON.stringify(command) })],
    ['expired', (command) => signCommand(command, { expiresAtMs: Date.now() - 60_000 })],
  ])('reports a command that is %s, and runs nothing of it', async (reason, forge) => {
    const command = start();
    plane.send({ action: 'command', ...forge(command) });
    expect(await refused(command.id)).toMatchObject({ reason });
    expect(plane.results.has(command.id)).toBe(false);
    expect(host.world.containers()).toEqual([]);
  });

  test('reports a command for another host', async () => {
    const command = start({ hostId: randomUUID() });
    plane.send({ action: 'command', ...signCommand(command) });
    expect(await refused(command.id)).toMatchObject({ reason: 'other-host' });
    expect(host.world.containers()).toEqual([]);
  });

  test('sends one hello to request an unknown key, and reports the command if the welcome does not announce the key', async () => {
    const command = start();
    const forged = { action: 'command', ...signCommand(command, { key: deriveSigningKey('guessed') }) };
    const hellos = () => plane.messages.filter(({ action }) => action === 'hello').length;
    plane.send(forged);
    await plane.until(() => hellos() === 2, 'a second hello');
    plane.send(forged);
    expect(await refused(command.id)).toMatchObject({ reason: 'unknown-key' });
    expect([hellos(), host.world.containers()]).toEqual([2, []]);
  });

  test('executes the real command with the id of a forged command', async () => {
    const command = start();
    plane.send({ action: 'command', payload: JSON.stringify(command), signature: '', keyId: '' });
    await refused(command.id);
    plane.give(command);
    expect(await plane.result(command.id)).toMatchObject({ status: 'succeeded' });
    expect(host.world.container(one.id)?.runs).toEqual([command.id]);
    expect(plane.violations).toEqual([]);
  });
});
