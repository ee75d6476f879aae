import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import {
  eventually,
  type LocalCloud,
  startLocalCloud,
  waitForHosts,
  waitForOperation,
} from '../helpers/local-cloud.ts';

/** The workflow of the Windows documentation, against three simulated hosts, over HTTP. */
let cloud: LocalCloud;
beforeAll(async () => {
  cloud = await startLocalCloud({ simulate: 3 });
  await waitForHosts(cloud, 3);
}, 120_000);
afterAll(async () => {
  await cloud?.stop();
}, 30_000);

const create = async (body: object) => {
  const answer = await cloud.call('POST', '/v1/containers', { body });
  expect([answer.status, answer.text]).toEqual([202, expect.any(String)]);
  expect(answer.headers.get('location')).toBe(`/v1/operations/${answer.body.operation.id}`);
  const operation = await waitForOperation(cloud, answer.body.operation.id);
  expect(operation).toMatchObject({ state: 'Succeeded', error: null, reason: null });
  return { container: answer.body.container, operation };
};
const names = (processes: { name: string; pid: number }[]) =>
  processes.map(({ name, pid }) => `${name} ${pid}`);

describe('the documented workflow', () => {
  test('hosts, images and switches match the documentation and are labelled as simulated', async () => {
    const { body } = await cloud.call('GET', '/v1/hosts');
    const skus = body.items.map((host: { os: { sku: string } }) => host.os.sku);
    expect(skus).toEqual(expect.arrayContaining(['NanoServer', 'ServerCore']));
    for (const host of body.items) {
      expect(host).toMatchObject({
        hypervisor: 'simulated',
        switches: expect.arrayContaining(['NAT', 'Virtual Switch']),
      });
      expect(host.name).toContain('simulated');
    }
    const images = await cloud.call('GET', '/v1/images');
    expect(images.body.items.map((image: { name: string }) => image.name).sort()).toEqual(
      expect.arrayContaining(['mini', 'nanoserver', 'windowsservercore']),
    );
  });

  test('New-Container, Start-Container, Get-ComputeProcess, Stop-Container, Remove-Container', async () => {
    const { container } = await create({
      name: 'HYPVCON',
      image: 'NanoServer',
      switchName: 'Virtual Switch',
      runtimeType: 'HyperV',
      start: true,
    });
    const running = await cloud.call('GET', '/v1/containers/HYPVCON');
    expect(running.body).toMatchObject({
      id: container.id,
      state: 'Running',
      runtimeType: 'HyperV',
      image: 'NanoServer',
    });
    expect(running.headers.get('etag')).toBe(`"${running.body.revision}"`);

    const processes = await cloud.call('GET', '/v1/compute-processes');
    const own = processes.body.items.find(
      (item: { containerId: string }) => item.containerId === container.id,
    );
    expect(own).toMatchObject({
      id: container.id.toUpperCase(),
      name: 'HYPVCON',
      owner: 'VMMS',
      type: 'Container',
      state: 'Running',
    });
    expect(own.workerProcess).toMatchObject({
      pid: expect.any(Number),
      name: 'vmwp.exe',
      userName: container.id.toUpperCase(),
    });

    const refused = await cloud.call('DELETE', '/v1/containers/HYPVCON');
    expect([refused.status, refused.body.code]).toEqual([409, 'invalid-state']);
    expect(refused.body.suggestion).toContain('force');

    const stop = await cloud.call('POST', '/v1/containers/HYPVCON/stop');
    expect((await waitForOperation(cloud, stop.body.operation.id)).state).toBe('Succeeded');
    expect((await cloud.call('GET', '/v1/containers/HYPVCON')).body.state).toBe('Off');
    expect((await cloud.call('GET', `/v1/compute-processes/${container.id}`)).status).toBe(404);

    const remove = await cloud.call('DELETE', '/v1/containers/HYPVCON');
    expect((await waitForOperation(cloud, remove.body.operation.id)).state).toBe('Succeeded');
    expect((await cloud.call('GET', '/v1/containers/HYPVCON')).status).toBe(404);
  });

  test('the isolation demonstration: a Default process is in the host list, a HyperV process is not', async () => {
    const demo = await create({ name: 'DEMO', image: 'nanoserver', switchName: 'NAT', start: true });
    const isolated = await create({
      name: 'ISOLATED',
      image: 'nanoserver',
      runtimeType: 'hyperv',
      start: true,
      placement: { hostLabels: {} },
    });
    const container = (await cloud.call('GET', '/v1/containers/DEMO')).body;
    expect(container.runtimeType).toBe('Default');
    const inside = (await cloud.call('GET', '/v1/containers/DEMO/processes')).body.items;
    const hostList = (await cloud.call('GET', `/v1/hosts/${container.hostId}/processes`)).body.items;
    const csrss = inside.find(({ name }: { name: string }) => name.startsWith('csrss'));
    expect(csrss.pid).toBe(1228);
    expect(names(hostList)).toContain(`${csrss.name} ${csrss.pid}`);
    for (const pid of [532, 608, 3484]) expect(names(hostList)).toContain(`${csrss.name} ${pid}`);

    const isolatedNow = (await cloud.call('GET', '/v1/containers/ISOLATED')).body;
    const guest = (await cloud.call('GET', '/v1/containers/ISOLATED/processes')).body.items;
    const itsHost = (await cloud.call('GET', `/v1/hosts/${isolatedNow.hostId}/processes`)).body.items;
    const guestCsrss = guest.find(({ name }: { name: string }) => name.startsWith('csrss'));
    expect(guestCsrss.pid).toBe(956);
    expect(names(itsHost)).not.toContain(`${guestCsrss.name} ${guestCsrss.pid}`);
    const workers = itsHost.filter(
      ({ userName }: { userName: string }) => userName === isolated.container.id.toUpperCase(),
    );
    expect(workers.filter(({ name }: { name: string }) => name === 'vmwp.exe')).toHaveLength(1);
    for (const name of [demo.container.name, isolated.container.name]) {
      const { body } = await cloud.call('DELETE', `/v1/containers/${name}?force=true`);
      expect((await waitForOperation(cloud, body.operation.id)).state).toBe('Succeeded');
    }
  });

  test('events are listed in order, with their actor', async () => {
    const { container } = await create({
      name: 'told',
      image: 'mini',
      command: ['sleep', '100'],
      start: true,
    });
    const events = await eventually(async () => {
      const { body } = await cloud.call('GET', '/v1/events?limit=200');
      const own = body.items.filter(
        (event: { resource: { id: string } }) => event.resource.id === container.id,
      );
      return own.some((event: { state: string }) => event.state === 'Running') ? own : undefined;
    });
    expect(events[0]).toMatchObject({ type: 'Container Created' });
    const revisions = events.map((event: { revision: number }) => event.revision);
    expect(revisions).toEqual([...revisions].sort((a, b) => a - b));
    expect(new Set(revisions).size).toBe(revisions.length);
  });
});
