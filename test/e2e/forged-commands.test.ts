import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createItem } from '../../store/item-format.ts';
import { keys } from '../../store/keys.ts';
import { pack } from '../../store/packed.ts';
import {
  eventually,
  type LocalCloud,
  startLocalCloud,
  waitForHosts,
  waitForOperation,
} from '../helpers/local-cloud.ts';
import { closeConnection, localTable } from '../helpers/local-table.ts';
import { signCommand } from '../helpers/signing.ts';

/**
 * An attacker who can only write to the table writes commands of the right shape into it. Uses the whole local cloud and a real
 * agent that simulates its machine.
 */
const TENANT = 'dev';
let cloud: LocalCloud;
let hostId: string;
let container: { id: string; name: string };

beforeAll(async () => {
  cloud = await startLocalCloud({ simulate: 3 });
  await waitForHosts(cloud, 3);
  const created = await cloud.call('POST', '/v1/containers', {
    body: { image: 'mini', command: ['sleep', 'infinity'], start: true },
  });
  await waitForOperation(cloud, created.body.operation.id);
  container = created.body.container;
  hostId = (await cloud.call('GET', `/v1/containers/${container.id}`)).body.hostId;
}, 120_000);
afterAll(async () => {
  await cloud?.stop();
}, 30_000);

const commandOf = (args: object) => ({
  id: randomUUID(),
  hostId,
  containerId: container.id,
  epoch: 9,
  ttlSeconds: 600,
  arguments: args,
});

const signed = (command: object) => {
  const made = signCommand(command);
  return { signed: { ...made, payload: pack(made.payload) } };
};

/** Written like the control plane does; the host gets it at its next heartbeat or connection. */
const write = async (id: string, content: object): Promise<void> => {
  const expiresAt = Date.now() + 600_000;
  const table = await localTable(cloud);
  await table.put({
    Item: createItem('command', keys.command(TENANT, hostId, id), {
      state: 'pending',
      expiresAt,
      ...content,
    }),
  });
};

/** Disconnects the host, which gets all pending commands when it reconnects. */
const reconnect = async (): Promise<void> => {
  const table = await localTable(cloud);
  const link = await table.get(keys.hostLink(TENANT, hostId), { consistent: true });
  await closeConnection(cloud, link?.connectionId?.S ?? '');
};

const refusalOf = (id: string) =>
  eventually(async () => {
    const { body } = await cloud.call('GET', '/v1/events?limit=200');
    return body.items.find(
      ({ type, resource }: { type: string; resource: { id: string } }) =>
        type === 'Command Refused' && resource.id === id,
    );
  }, 90);

const state = async () => (await cloud.call('GET', `/v1/containers/${container.id}`)).body.state;
const exec = () => cloud.call('POST', `/v1/containers/${container.id}/exec`, { body: { command: ['true'] } });

describe('a forged command in the table', () => {
  test.each<[string, (command: object) => object]>([
    ['unsigned', (command) => ({ command })],
    ['unknown-key', signed],
  ])(
    'without the control plane’s signature is refused as %s, and audited',
    async (reason, content) => {
      const stop = commandOf({ verb: 'stopContainer', timeoutSeconds: 0 });
      const run = commandOf({ verb: 'exec', command: ['true'], timeoutSeconds: 5 });
      await write(stop.id, content(stop));
      await write(run.id, content(run));
      await reconnect();
      for (const { id } of [stop, run]) {
        const event = await refusalOf(id);
        expect(event).toMatchObject({ hostId, state: reason, actor: `host:${hostId}` });
      }
      expect(await state()).toBe('Running');
    },
    120_000,
  );

  test('does not prevent the execution of real commands', async () => {
    expect(await exec()).toMatchObject({ status: 200, body: { exitCode: 0 } });
  });
});
