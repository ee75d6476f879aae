import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { canHostLinux } from '../../helpers/linux-host.ts';
import { findTraces, NO_TRACES } from '../../helpers/linux-leaks.ts';
import {
  eventually,
  type LocalCloud,
  startLocalCloud,
  temporaryStateDirectory,
  waitForHosts,
  waitForOperation,
} from '../../helpers/local-cloud.ts';
import {
  busyboxLayer,
  tar,
  writeDockerArchive,
  writeLayout,
  writeLayoutArchive,
} from '../../helpers/oci-image.ts';

jest.setTimeout(240_000);
const possible = await canHostLinux();
const real = possible ? describe : describe.skip;

/** The output of `ps` on this machine: pid, name, command line. Uses busybox, which exists on every machine with a set-up. */
const ps = (): string[] =>
  execFileSync('busybox', ['ps', '-o', 'pid,comm,args'], { encoding: 'utf8' }).trimEnd().split('\n');

real('Bulkhead with this machine as its host', () => {
  const stateDir = temporaryStateDirectory();
  const images = mkdtempSync(join(tmpdir(), 'bulkhead-whole-'));
  let cloud: LocalCloud;
  const start = async () => {
    cloud = await startLocalCloud({
      stateDir,
      arguments: ['--host', 'auto', '--warm-vms', '1', '--image-folder', images],
      timeoutSeconds: 180,
    });
    await waitForHosts(cloud, 1);
  };
  /** Selects resources of this test's host, whose agent stores everything in its own folder. */
  const hostState = async () => {
    const { body } = await cloud.call('GET', '/v1/hosts');
    return join(stateDir, 'hosts', body.items[0].name, 'linux');
  };
  beforeAll(start, 240_000);
  afterEach(async () => {
    const { body } = await cloud.call('GET', '/v1/containers');
    await remove(...body.items.map(({ id }: { id: string }) => id));
  });
  afterAll(async () => {
    const state = await hostState();
    await cloud?.stop();
    expect(await findTraces(state)).toEqual(NO_TRACES);
    rmSync(stateDir, { recursive: true, force: true });
    rmSync(images, { recursive: true, force: true });
  }, 60_000);

  const finish = async (path: string, method: string, body?: object) => {
    const answer = await cloud.call(method, path, body ? { body } : {});
    expect([answer.status, answer.text]).toEqual([202, expect.any(String)]);
    return waitForOperation(cloud, answer.body.operation.id, 120);
  };
  const create = async (name: string, body: object = {}) => {
    const operation = await finish('/v1/containers', 'POST', {
      name,
      image: 'mini',
      command: ['sleep', '4321'],
      start: true,
      ...body,
    });
    expect(operation).toMatchObject({ state: 'Succeeded', error: null });
    return { operation, container: (await cloud.call('GET', `/v1/containers/${name}`)).body };
  };
  const remove = async (...names: string[]) => {
    for (const name of names)
      expect(await finish(`/v1/containers/${name}?force=true`, 'DELETE')).toMatchObject({
        state: 'Succeeded',
      });
  };

  test('this machine is a host and reports its real facts', async () => {
    const { body } = await cloud.call('GET', '/v1/hosts');
    expect(body.items).toHaveLength(1);
    expect(body.items[0]).toMatchObject({
      state: 'Ready',
      os: { family: 'linux' },
      kernel: execFileSync('uname', ['-r'], { encoding: 'utf8' }).trim(),
      hypervisor: expect.stringMatching(/^(kvm|tcg)$/),
      capabilities: { runtimeTypes: ['Default', 'HyperV'], runtimeConversion: 'inPlace' },
    });
    const mini = await cloud.call('GET', '/v1/images/mini');
    expect(mini.body).toMatchObject({ name: 'mini', os: 'linux', hosts: [{ hostId: body.items[0].id }] });
  });

  test('ps on this machine shows the process of a Default container, but only the worker process of a HyperV container', async () => {
    const isSleep = (line: string) => line.endsWith(' sleep 4321');
    const before = ps().filter(isSleep).length;
    const shared = (await create('shared')).container;
    expect(ps().filter(isSleep)).toHaveLength(before + 1);
    const isolated = (await create('isolated', { runtimeType: 'HyperV' })).container;
    expect(ps().filter(isSleep)).toHaveLength(before + 1);

    const inside = async (name: string) =>
      (await cloud.call('GET', `/v1/containers/${name}/processes`)).body.items;
    const sleeps = { shared: await inside('shared'), isolated: await inside('isolated') };
    for (const processes of Object.values(sleeps))
      expect(processes).toEqual([
        expect.objectContaining({ pid: 1, name: 'sleep', commandLine: 'sleep 4321' }),
      ]);
    expect(sleeps.isolated[0].hostPid).toBeUndefined();

    const onHost = (await cloud.call('GET', `/v1/hosts/${shared.hostId}/processes`)).body.items;
    expect(onHost).toContainEqual(expect.objectContaining({ pid: sleeps.shared[0].hostPid, name: 'sleep' }));

    const processes = (await cloud.call('GET', '/v1/compute-processes')).body.items;
    const of = (id: string) =>
      processes.find(({ containerId }: { containerId: string }) => containerId === id);
    expect(of(shared.id)).toMatchObject({
      id: shared.id.toUpperCase(),
      owner: 'VMMS',
      type: 'Container',
      workerProcess: null,
    });
    const { workerProcess } = of(isolated.id);
    expect(workerProcess).toMatchObject({
      userName: isolated.id.toUpperCase(),
      name: expect.stringMatching(/^vmwp-[0-9a-f]{8}$/),
    });
    expect(onHost).toContainEqual(expect.objectContaining(workerProcess));
    const [worker] = ps().filter((line) => Number(line.trim().split(/\s+/)[0]) === workerProcess.pid);
    expect(worker?.trim().split(/\s+/)[1]).toBe(workerProcess.name);
    expect(statSync(`/proc/${workerProcess.pid}`).uid).toBeGreaterThanOrEqual(2_100_000_000);
    await remove('shared', 'isolated');
    expect(ps().filter(isSleep)).toHaveLength(before);
  });

  test('provisioning reports each step with times; a failure reports the step and the cause', async () => {
    const { operation } = await create('stepwise', { runtimeType: 'HyperV' });
    const names = operation.steps.map(({ name }: { name: string }) => name);
    expect(names).toEqual(
      expect.arrayContaining(['CreateUtilityVm', 'ConnectGuest', 'MountLayers', 'StartProcess']),
    );
    for (const step of operation.steps)
      expect(step).toMatchObject({
        state: 'Succeeded',
        startedAt: expect.any(String),
        durationMs: expect.any(Number),
      });
    await remove('stepwise');
    for (const runtimeType of ['Default', 'HyperV']) {
      const failed = await finish('/v1/containers', 'POST', {
        ...{ name: 'broken', image: 'mini', runtimeType, start: true },
        command: ['no-such-program'],
      });
      expect(failed).toMatchObject({ state: 'Failed' });
      expect(JSON.stringify(failed.error)).toContain('no-such-program');
      await remove('broken');
    }
  });

  test('if a VM is killed, its container is Off with the reason, and its restart policy applies', async () => {
    const { container: once } = await create('once', { runtimeType: 'HyperV' });
    const { container: always } = await create('always', {
      runtimeType: 'HyperV',
      restartPolicy: { name: 'always' },
    });
    const worker = async (id: string) =>
      (await cloud.call('GET', `/v1/compute-processes/${id}`)).body.workerProcess?.pid;
    const first = await worker(always.id);
    process.kill(await worker(once.id), 'SIGKILL');
    process.kill(first, 'SIGKILL');
    const off = await eventually(async () => {
      const { body } = await cloud.call('GET', '/v1/containers/once');
      return body.state === 'Off' ? body : undefined;
    });
    expect(off).toMatchObject({ exitCode: 137 });
    expect(JSON.stringify(off.lastError)).toContain('utility VM ended');
    await eventually(async () => {
      const pid = await worker(always.id);
      return pid !== undefined && pid !== first ? true : undefined;
    }, 60);
    expect((await cloud.call('GET', '/v1/containers/always')).body).toMatchObject({ state: 'Running' });
    await remove('once', 'always');
  });

  test.each([
    ['an archive of docker save', writeDockerArchive],
    ['an OCI layout', writeLayout],
    ['an OCI layout in a tar', writeLayoutArchive],
  ])('%s is imported by POST /v1/images, and runs both ways', async (what, write) => {
    const path = join(images, what.replaceAll(' ', '-'));
    const config = { Entrypoint: ['/bin/sh', '-c'], Cmd: ['exec sleep 1234'] };
    const digest = write(path, { layers: [busyboxLayer(what)], config });
    const hostId = (await cloud.call('GET', '/v1/hosts')).body.items[0].id;
    const request = { name: 'Team/App', hostId, source: { path }, digest };
    expect(await finish('/v1/images', 'POST', request)).toMatchObject({ state: 'Succeeded', error: null });
    const image = await eventually(async () => {
      const { body } = await cloud.call('GET', '/v1/images/team/app');
      return body.hosts?.[0]?.digest === digest ? body : undefined;
    });
    expect(image).toMatchObject({ name: 'Team/App', hosts: [{ hostId, digest }] });
    for (const runtimeType of ['Default', 'HyperV']) {
      await create('imported', { image: 'team/app', runtimeType, command: undefined });
      // A shell runs first, which then executes the program.
      await eventually(async () => {
        const { body } = await cloud.call('GET', '/v1/containers/imported/processes');
        return body.items.some(({ commandLine }: { commandLine: string }) => commandLine === 'sleep 1234')
          ? true
          : undefined;
      });
      await remove('imported');
    }
    expect((await cloud.call('DELETE', '/v1/images/team/app')).status).toBe(204);
  });

  test('a refused import fails its operation with the reason and changes nothing', async () => {
    const hostId = (await cloud.call('GET', '/v1/hosts')).body.items[0].id;
    const hostile = join(images, 'hostile');
    writeLayout(hostile, { layers: [tar([{ name: '../../etc/x' }])] });
    for (const [path, reason] of [
      ['/etc/passwd', 'does not allow'],
      [`${images}/../x`, 'does not allow'],
      [hostile, 'The image is refused'],
    ]) {
      const operation = await finish('/v1/images', 'POST', { name: 'refused', hostId, source: { path } });
      expect(operation).toMatchObject({ state: 'Failed' });
      expect(JSON.stringify(operation.error)).toContain(reason);
    }
    expect((await cloud.call('GET', '/v1/images/refused')).status).toBe(404);
  });

  test('containers outlive npm start and are unchanged when it is started again', async () => {
    await create('survivor', { runtimeType: 'HyperV' });
    const before = (await cloud.call('GET', '/v1/containers/survivor/processes')).body.items;
    const state = await hostState();
    await cloud.stop();
    expect((await findTraces(state)).uids).toHaveLength(1);
    await start();
    const after = await eventually(async () => {
      const { status, body } = await cloud.call('GET', '/v1/containers/survivor/processes');
      return status === 200 ? body.items : undefined;
    });
    expect(after[0].startedAt.slice(0, 16)).toBe(before[0].startedAt.slice(0, 16));
  });
});
if (!possible) test.todo('cannot run on this machine');
