import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runOrFail } from '../../agent/runtimes/linux/run-command.ts';
import { artifactsFolder } from '../../scripts/setup/linux-runtime.ts';
import {
  type LocalCloud,
  listAll,
  startLocalCloud,
  waitForHosts,
  waitForOperation,
} from '../helpers/local-cloud.ts';
import { writeDockerArchive } from '../helpers/oci-image.ts';
import { startProgram } from '../helpers/run-program.ts';

const ROOT = new URL('../..', import.meta.url).pathname;
/** Names under which the suites expect an image with a shell. All of them are the image `mini` here. */
export const IMAGES = ['alpine:3.10', 'alpine:latest', 'busybox:latest', 'hello-world:latest'];

/** An archive of the image `mini`, with the configuration of `alpine`. */
const writeArchive = async (folder: string, file: string): Promise<void> => {
  const [tree, layer] = [join(folder, 'tree'), join(folder, 'layer.tar')];
  const squashfs = join(artifactsFolder(ROOT), 'mini.squashfs');
  await runOrFail('mini', 'unsquashfs', ['-no-progress', '-d', tree, squashfs]);
  await runOrFail('mini', 'tar', ['-cf', layer, '-C', tree, '.']);
  const Env = ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'];
  writeDockerArchive(file, { layers: [readFileSync(layer)], config: { Env, Cmd: ['/bin/sh'] } });
};

const importImages = async (cloud: LocalCloud, folder: string): Promise<void> => {
  const path = join(folder, 'alpine.tar');
  await writeArchive(folder, path);
  const { body: hosts } = await cloud.call('GET', '/v1/hosts');
  const hostId = hosts.items[0].id;
  for (const name of IMAGES) {
    const body = { name, hostId, source: { path } };
    const answer = await cloud.call('POST', '/v1/images', { body });
    if (answer.status >= 300) throw new Error(`The image was not imported: ${answer.text}`);
    await waitForOperation(cloud, answer.body.operation.id);
  }
};

/** A suite that fails leaves containers, which would outlive the cloud. */
const removeContainers = async (cloud: LocalCloud): Promise<void> => {
  for (const { id } of await listAll(cloud, '/v1/containers')) {
    const { body } = await cloud.call('DELETE', `/v1/containers/${id}?force=true`);
    if (body?.operation !== undefined) await waitForOperation(cloud, body.operation.id);
  }
};

/** The embedded cloud with this machine as a host, and the bridge in front of it. */
export const openBridge = async () => {
  const folder = mkdtempSync(join(tmpdir(), 'bulkhead-clients-'));
  const cloud = await startLocalCloud({ arguments: ['--warm-vms', '0', '--image-folder', folder] });
  const close = async (): Promise<void> => {
    await removeContainers(cloud);
    await cloud.stop();
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    await waitForHosts(cloud, 1);
    await importImages(cloud, folder);
    const host = `unix://${folder}/docker.sock`;
    const program = ['--disable-warning=ExperimentalWarning', join(ROOT, 'bin/bulkhead.ts'), 'docker'];
    const settings = { BULKHEAD_API_URL: cloud.apiUrl, BULKHEAD_TOKEN: cloud.token };
    const bridge = await startProgram(process.execPath, [...program, '--host', host], settings);
    return { host, folder, close: () => bridge.stop().then(close) };
  } catch (error) {
    await close();
    throw error;
  }
};
