import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import {
  eventually,
  type LocalCloud,
  startLocalCloud,
  waitForHosts,
  waitForOperation,
} from '../helpers/local-cloud.ts';

/** Network policies over HTTP on the whole local cloud, with its table, its stream, signed commands and real agents. */
let cloud: LocalCloud;
beforeAll(async () => {
  cloud = await startLocalCloud({ simulate: 3, arguments: ['--allow-private', '10.20.0.0/16'] });
  await waitForHosts(cloud, 3);
}, 120_000);
afterAll(async () => {
  await cloud?.stop();
}, 30_000);

const network = {
  egress: { default: 'deny', allow: [{ domain: 'example.com', ports: [443] }], deny: [] },
  peers: 'none',
};
const get = async (id: string) => (await cloud.call('GET', `/v1/containers/${id}`)).body;
const patch = (id: string, body: object) => cloud.call('PATCH', `/v1/containers/${id}`, { body });
const isolation = async (id: string) => (await cloud.call('GET', `/v1/containers/${id}/isolation`)).body;
const confirmed = (id: string) =>
  eventually(async () => (await get(id)).networkPending === false || undefined);

const run = async (runtimeType: string) => {
  const body = { image: 'mini', runtimeType, command: ['sleep', '600'], start: true };
  const { body: accepted } = await cloud.call('POST', '/v1/containers', { body });
  await waitForOperation(cloud, accepted.operation.id);
  return accepted.container.id as string;
};

describe.each(['Default', 'HyperV'])('the network policy of a running %s container', (runtimeType) => {
  test('can be changed while it runs, is confirmed by the host, and is one event', async () => {
    const id = await run(runtimeType);
    const { startedAt } = await get(id);
    expect((await isolation(id)).network).toMatchObject({
      policy: { egress: { default: 'allow' }, peers: 'none' },
      ceiling: ['10.20.0.0/16'],
    });
    const answer = await patch(id, { network });
    expect([answer.status, answer.body.networkPending]).toEqual([200, true]);
    await confirmed(id);
    expect((await isolation(id)).network).toEqual({
      policy: network,
      ceiling: ['10.20.0.0/16'],
      dropped: { packets: 0 },
    });
    expect(await get(id)).toMatchObject({ state: 'Running', startedAt, network });
    const confirmation = (await get(id)).revision;
    // Makes a later change. Once its event exists, all earlier events exist.
    const later = (await patch(id, { labels: { after: 'it' } })).body.revision;
    const events = async (): Promise<Map<number, string>> => {
      const { body } = await cloud.call('GET', '/v1/events?limit=200');
      const own = body.items.filter((one: { resource: { id: string } }) => one.resource.id === id);
      return new Map(own.map((one: { revision: number; type: string }) => [one.revision, one.type]));
    };
    await eventually(async () => (await events()).has(later) || undefined);
    const types = await events();
    expect([answer.body.revision, confirmation, later].map((revision) => types.get(revision))).toEqual([
      'Container Network Changed',
      undefined,
      'Container Updated',
    ]);
  }, 60_000);

  test('is unchanged after stop and start and after a conversion', async () => {
    const id = await run(runtimeType);
    await patch(id, { network });
    await confirmed(id);
    for (const action of ['stop', 'start']) {
      const { body } = await cloud.call('POST', `/v1/containers/${id}/${action}`, { body: {} });
      await waitForOperation(cloud, body.operation.id);
    }
    expect((await isolation(id)).network.policy).toEqual(network);
    const to = runtimeType === 'Default' ? 'HyperV' : 'Default';
    const { body } = await patch(id, { runtimeType: to, acceptUntrustedDisk: true });
    expect(await waitForOperation(cloud, body.operation.id)).toMatchObject({ state: 'Succeeded' });
    expect(await isolation(id)).toMatchObject({ runtimeType: to, network: { policy: network } });
  }, 60_000);
});
