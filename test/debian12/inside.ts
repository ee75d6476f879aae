/**
 * Runs inside the virtual machine that `run.ts` boots. Runs one Default container through its whole life with the
 * agent's own parts, and prints the result of each check. The last line is `PASSED` or `FAILED`.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import { mkdirSync, readFileSync } from 'node:fs';
import { systemClock } from '../../agent/clock.ts';
import { readArtifacts } from '../../agent/runtimes/linux/artifacts.ts';
import { GuestStream } from '../../agent/runtimes/linux/channel/guest-stream.ts';
import { DefaultContainers } from '../../agent/runtimes/linux/container/default-containers.ts';
import { probeIdmaps } from '../../agent/runtimes/linux/container/probe-idmaps.ts';
import { readSeccompProfile } from '../../agent/runtimes/linux/container/seccomp.ts';
import { idMapOf, UserNamespaces } from '../../agent/runtimes/linux/container/user-namespaces.ts';
import { WritableLayers } from '../../agent/runtimes/linux/container/writable-layer.ts';
import type { LinuxDeps } from '../../agent/runtimes/linux/deps.ts';
import { ImageStore, miniDigest } from '../../agent/runtimes/linux/image/image-store.ts';
import { containerPaths, createLayout } from '../../agent/runtimes/linux/layout.ts';
import { Leases } from '../../agent/runtimes/linux/leases.ts';
import { makeFolders } from '../../agent/runtimes/linux/make-folders.ts';
import { isAlive, killProcess, readMountPoints } from '../../agent/runtimes/linux/proc.ts';
import { runOrFail } from '../../agent/runtimes/linux/run-command.ts';
import { collectOutput } from '../../agent/sessions/collect-output.ts';
import type { AssignedContainer } from '../../core/contract/agent/commands.ts';
import { DEFAULT_NETWORK } from '../../core/contract/network.ts';

const NETWORK_NAMESPACE = '/run/netns/test';
const LAYER_MB = 256;
const say = (line: string) => process.stdout.write(`${line}\n`);
let failures = 0;

const expectThat = (what: string, found: unknown, wanted: unknown): void => {
  const isSo = wanted instanceof RegExp ? wanted.test(String(found)) : found === wanted;
  if (!isSo) failures++;
  say(isSo ? `ok      ${what}` : `NOT OK  ${what}: found ${JSON.stringify(found)}, wanted ${wanted}`);
};

const log = (message: string, fields?: object) => say(`# ${message} ${JSON.stringify(fields ?? {})}`);
const openDeps = async (): Promise<LinuxDeps> => {
  const artifacts = await readArtifacts('/project/.bulkhead/runtime');
  if (artifacts === null) throw new TypeError('There are no artifacts');
  const layout = createLayout('/run/state');
  await makeFolders(layout);
  const leases = new Leases(layout.leases, layout.tag);
  const logs = { debug: log, info: log, warn: log, error: log };
  return { clock: systemClock, log: logs, newId: randomUUID, randomBytes, layout, artifacts, leases };
};

const oneContainer = (): AssignedContainer => ({
  id: randomUUID(),
  name: 'debian12',
  runtimeType: 'Default',
  spec: {
    image: 'mini',
    switchName: 'none',
    ...DEFAULT_NETWORK,
    command: ['sleep', '600'],
    resources: { memoryMB: 128, cpus: 1, diskMB: LAYER_MB },
    restartPolicy: { name: 'no' },
  },
});

/** Checks inside the container: what is checked, the script, and its expected output. */
const INSIDE: readonly (readonly [what: string, script: string, wanted: RegExp])[] = [
  ['root inside is root', 'id -u; id -g', /^0\n0\n$/],
  ['a file of root', 'echo a > /root/own; stat -c %u:%g /root/own', /^0:0\n$/],
  ['a file of another user', 'echo b > /srv; chown 33:44 /srv; stat -c %u:%g /srv', /^33:44\n$/],
  [
    'a file of the image is changed',
    'echo c >> /etc/hosts; tail -n1 /etc/hosts; stat -c %u /etc/hosts',
    /^c\n0\n$/,
  ],
  [
    'files of the image are removed',
    'rm /bin/wget; rm -r /var/log; mkdir /var/log; ls /bin/wget 2>&1',
    /No such file/,
  ],
  ['ping', 'ping -c 1 -W 20 127.0.0.1', /1 packets received/],
  ['a port below 1024', 'nc -l -p 80 & sleep 1; netstat -ltn; kill $!', /:80 /],
  ['/sys is mounted', 'ls /sys/class/net', /^lo\n$/],
  ['/proc/sys is read-only', 'echo 1 > /proc/sys/kernel/panic || true', /^$/],
  ['no device node can be made', 'mknod /disk b 7 0 2>&1 || true', /not permitted/],
  ['output opens again by name', 'echo again > /dev/stdout', /^again\n$/],
];

const main = async (): Promise<void> => {
  const deps = await openDeps();
  const images = new ImageStore(deps);
  const layers = new WritableLayers(deps);
  const userNamespaces = new UserNamespaces(deps);
  const defaults = new DefaultContainers(deps, await readSeccompProfile());
  mkdirSync(`${deps.layout.state}/placeholders`, { recursive: true });
  await images.prepare();
  await layers.prepare(LAYER_MB);
  const release = readFileSync('/proc/sys/kernel/osrelease', 'utf8').trim();
  expectThat('the kernel is Debian 12’s', release, /^6\.1\./);
  expectThat(
    'the format that it can idmap',
    await probeIdmaps(deps, { images, defaults, userNamespaces }),
    'erofs',
  );

  const one = oneContainer();
  const { id } = one;
  const paths = containerPaths(deps.layout, id);
  await layers.createFolder(id);
  await layers.create(id, LAYER_MB);
  const owner = await userNamespaces.take(id);
  mkdirSync(paths.run, { recursive: true });
  await runOrFail('The network namespace could not be made', deps.artifacts.helper, [
    'make-network-namespace',
    `user=${owner.path}`,
    `first-id=${owner.firstId}`,
    `file=${NETWORK_NAMESPACE}`,
  ]);
  // Done here as by the agent, because root in the container is not permitted to.
  await runOrFail('ip', 'ip', ['-n', 'test', 'link', 'set', 'lo', 'up']);
  await defaults.mountLayers(id, await images.mountable(miniDigest(deps.artifacts)), owner);
  const image = await images.get('mini');
  const network = { namespace: NETWORK_NAMESPACE, resolver: null, address: null };
  const { process: first } = await defaults.start(one, image, network, owner, new AbortController().signal);
  expectThat('root’s id outside', idMapOf(first.pid)?.firstHostId, owner.firstId);
  expectThat(
    'and by its status',
    readFileSync(`/proc/${first.pid}/status`, 'utf8'),
    new RegExp(`Uid:\\t${owner.firstId}\\t`),
  );

  const run = async (user: string, script: string) => {
    const request = { command: ['sh', '-c', script], ...(user === '' ? {} : { user }) };
    const beside = await defaults.exec(id, first, request, image);
    const outcome = await collectOutput(new GuestStream(beside, systemClock), systemClock, {
      keptBytes: 1024 * 1024,
      timeoutMs: 120_000,
      signal: new AbortController().signal,
    });
    return Buffer.from(outcome.stdout, 'base64').toString();
  };
  for (const [what, script, wanted] of INSIDE) expectThat(what, await run('', script), wanted);
  expectThat(
    'another user',
    await run('daemon', 'id -u; touch /root/no 2>/dev/null || echo refused'),
    '1\nrefused\n',
  );
  const names = (await defaults.listProcesses(first)).map(({ userName, name }) => `${userName} ${name}`);
  expectThat('the list of processes', names.join(), /^root sleep/);

  killProcess(first);
  while (isAlive(first)) await new Promise((resolve) => systemClock.after(20, () => resolve(null)));
  await defaults.unmountLayers(id);
  await runOrFail('unmount', deps.artifacts.helper, ['unmount-layers', NETWORK_NAMESPACE]);
  await userNamespaces.remove(id);
  const left = [...(await readMountPoints())].filter((point) => point.startsWith(paths.run));
  expectThat('nothing stays mounted', left.join(), '');
  const onDisk = await runOrFail('debugfs', 'debugfs', ['-R', 'stat upper/srv', paths.scratch]);
  expectThat('ids on disk are the container’s', onDisk, /User: +33 +Group: +44/);
};

await main().catch((error: unknown) => {
  failures++;
  say(`NOT OK  ${error instanceof Error ? error.stack : error}`);
});
say(failures === 0 ? 'PASSED' : 'FAILED');
process.exit();
