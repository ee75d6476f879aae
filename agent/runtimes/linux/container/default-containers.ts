import { spawn } from 'node:child_process';
import { existsSync, readlinkSync } from 'node:fs';
import { chmod, chown, mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import type { AssignedContainer } from '../../../../core/contract/agent/commands.ts';
import type { Process } from '../../../../core/contract/compute-process.ts';
import type { ContainerSpec } from '../../../../core/contract/container.ts';
import { sleep } from '../../../clock.ts';
import { RuntimeError } from '../../../errors.ts';
import { hostNameOf, hostsFile } from '../../host-name.ts';
import type { ExecRequest } from '../../session-process.ts';
import { containerPids, countsSwap, memoryEventsFile } from '../cgroups.ts';
import { GuestChannel } from '../channel/guest-channel.ts';
import { type GuestProcess, SpawnError, startError } from '../channel/guest-process.ts';
import type { LinuxDeps } from '../deps.ts';
import { readIfThere, removeFolder } from '../files.ts';
import type { ImageRecord } from '../image/image-record.ts';
import type { MountableImage } from '../image/image-store.ts';
import type { Measurements } from '../isolation.ts';
import { containerPaths } from '../layout.ts';
import { identify, isAlive, killProcess, type ProcessIdentity } from '../proc.ts';
import { runCommand, runOrFail } from '../run-command.ts';
import {
  type Identity,
  ociConfig,
  ociProcess,
  PASSED_HELPER,
  resolveMain,
  resolveProcess,
} from './oci-config.ts';
import { openFilesLimit } from './open-files.ts';
import { listNamespaceProcesses } from './process-lists.ts';
import { unmountable } from './unmountable.ts';
import { idMapOf, NAMESPACE_IDS, rootIdOf, type UserNamespace } from './user-namespaces.ts';

const RUNC = '/usr/bin/runc';
const RELAY_TIMEOUT_MS = 5_000;
const KILL_PAUSE_MS = 50;
/** The size of a terminal without a given size. */
const COLUMNS = 80;
const ROWS = 24;
/** Exit codes of `helper/run-container.c` for a failed start, and the same problem on a channel. */
const START_PROBLEMS: ReadonlyMap<number, number> = new Map([
  [5, 1001],
  [6, 1002],
]);
const RUNC_LOG_TAIL = 500;
const ROOT: Identity = { uid: 0, gid: 0, home: '/', groups: [] };
/** The exit code of `helper/layers.c` for a writable layer that Bulkhead did not format. */
const LAYER_REFUSED = 4;

export interface StartedContainer {
  readonly process: ProcessIdentity;
  /** The helper that writes the log and the exit record. */
  readonly supervisor: ProcessIdentity;
}

/** The pid namespace of a process, such as `pid:[4026531836]`. */
const pidNamespaceOf = (pid: number): string | null => {
  try {
    return readlinkSync(`/proc/${pid}/ns/pid`);
  } catch {
    return null;
  }
};

/**
 * Process-isolated containers, run by runc on layers that are mounted on this machine. runc exits once the main process runs. A
 * helper supervises the main process (`helper/run-container.c`).
 */
export class DefaultContainers {
  readonly #deps: LinuxDeps;
  readonly #countsSwap = countsSwap();
  readonly #seccomp: Readonly<Record<string, unknown>>;
  /** Channels to processes other than main processes, by container. */
  readonly #channels = new Map<string, Set<GuestChannel>>();

  constructor(deps: LinuxDeps, seccomp: Readonly<Record<string, unknown>>) {
    this.#deps = deps;
    this.#seccomp = seccomp;
  }

  /**
   * Mounts the container's root file system, with file owners mapped to the ids of its user namespace.
   * @param options.scratch the file of the writable layer. Default: the container's own
   */
  async mountLayers(
    id: string,
    image: MountableImage,
    owner: UserNamespace,
    { signal, scratch = this.#paths(id).scratch }: { signal?: AbortSignal; scratch?: string } = {},
  ): Promise<void> {
    const paths = this.#paths(id);
    await mkdir(paths.run, { recursive: true });
    // On this host the container's root is an unprivileged user. Only this user can traverse the folder.
    await chown(paths.run, 0, owner.firstId);
    await chmod(paths.run, 0o710);
    await mkdir(join(image.mountPoint, '..'), { recursive: true, mode: 0o700 });
    const { code, stderr } = await runCommand(
      this.#deps.artifacts.helper,
      [
        'mount-layers',
        `image=${image.file}`,
        `image-type=${image.format}`,
        `image-mount=${image.mountPoint}`,
        `scratch=${scratch}`,
        `rw=${paths.rw}`,
        `root=${paths.root}`,
        `names=${paths.names}`,
        `user=${owner.path}`,
        `first-id=${owner.firstId}`,
      ],
      { signal },
    );
    signal?.throwIfAborted();
    if (code === LAYER_REFUSED) throw unmountable(id, stderr.trim());
    if (code !== 0)
      throw new RuntimeError(
        'step-failed',
        `The layers of container ${id} could not be mounted: ${stderr.trim()}`,
      );
  }

  /** Also deletes runc's state of the container, which is useless without the layers. */
  async unmountLayers(id: string): Promise<void> {
    const paths = this.#paths(id);
    for (const channel of this.#channels.get(id) ?? []) channel.close();
    await this.#forget(id);
    await runOrFail('The layers could not be unmounted', this.#deps.artifacts.helper, [
      'unmount-layers',
      paths.names,
      paths.root,
      paths.rw,
    ]);
    await rm(join(paths.run, 'config.json'), { force: true });
    // Not recursive: a folder that is still a mount point contains the container's files.
    for (const point of [paths.names, paths.root, paths.rw]) await removeFolder(point);
  }

  /**
   * @param signal kills the processes of a start that has not ended, because runc has no time limit of its own
   * @throws {RuntimeError} with runc's message if the process could not be started
   */
  async start(
    container: AssignedContainer,
    image: ImageRecord,
    network: { namespace: string | null; resolver: string | null; address: string | null },
    userNamespace: UserNamespace,
    signal: AbortSignal,
  ): Promise<StartedContainer> {
    const { id, spec } = container;
    const paths = this.#paths(id);
    const wanted = resolveMain(spec, image.defaults);
    const config = ociConfig({
      id,
      tag: this.#deps.layout.tag,
      spec,
      ...wanted,
      identity: await this.#identify(paths.root, wanted.user),
      root: paths.root,
      networkNamespace: network.namespace,
      resolver: network.resolver,
      names: await this.#writeNames(container, network.address, userNamespace),
      userNamespace,
      seccomp: this.#seccomp,
      countsSwap: this.#countsSwap,
    });
    await this.#forget(id);
    await writeFile(join(paths.run, 'config.json'), JSON.stringify(config), { mode: 0o600 });
    signal.throwIfAborted();
    return this.#orKill(id, this.#supervise(id, userNamespace.firstId, spec), signal);
  }

  /** Writes /etc/hosts and /etc/hostname, which belong to the container's root. Returns their folder. */
  async #writeNames(
    container: AssignedContainer,
    address: string | null,
    { firstId }: UserNamespace,
  ): Promise<string> {
    const { names } = this.#paths(container.id);
    const files = { hosts: hostsFile(container, address), hostname: `${hostNameOf(container.id)}\n` };
    for (const [name, text] of Object.entries(files)) {
      const path = join(names, name);
      await writeFile(path, text);
      await chmod(path, 0o644);
      await chown(path, firstId, firstId);
    }
    return names;
  }

  /** Kills the processes of a start that is aborted. Then runc ends with an error, and the helper with it. */
  async #orKill<T>(id: string, starting: Promise<T>, signal: AbortSignal): Promise<T> {
    const { clock, layout } = this.#deps;
    let hasEnded = false;
    const kill = async () => {
      // Repeated, because runc may not have started its process yet.
      for (; !hasEnded; await sleep(clock, KILL_PAUSE_MS))
        for (const pid of await containerPids(layout.tag, id)) {
          const found = identify(pid);
          if (found) killProcess(found);
        }
    };
    signal.addEventListener('abort', kill);
    try {
      return await starting;
    } catch (error) {
      signal.throwIfAborted();
      throw error;
    } finally {
      hasEnded = true;
      signal.removeEventListener('abort', kill);
    }
  }

  /** Lists the processes in the container, with their pids in the container and on this host. */
  async listProcesses(main: ProcessIdentity): Promise<Process[]> {
    const outcome = await runCommand(this.#deps.artifacts.helper, [
      'list-users',
      `root=/proc/${main.pid}/root`,
    ]);
    const names = new Map(
      outcome.stdout
        .split('\n')
        .filter((line) => line.includes(' '))
        .map((line) => [Number(line.slice(0, line.indexOf(' '))), line.slice(line.indexOf(' ') + 1)]),
    );
    if (!isAlive(main)) throw new RuntimeError('invalid-state', 'The container is not running');
    return listNamespaceProcesses(main.pid, pidNamespaceOf, {
      now: this.#deps.clock.now(),
      userNames: names,
      rootId: rootIdOf(main.pid),
    });
  }

  /** Reads the kernel release inside the container's namespaces, and the ids of its user namespace. */
  async measure(main: ProcessIdentity): Promise<Pick<Measurements, 'containerKernel' | 'userNamespace'>> {
    const said = await runOrFail('The kernel release could not be read', this.#deps.artifacts.helper, [
      'uname-in',
      `pid=${main.pid}`,
    ]);
    return { containerKernel: said.trim(), userNamespace: idMapOf(main.pid) };
  }

  /**
   * Starts another process in the container.
   * @throws {RuntimeError} `program-not-found`, `program-not-executable` or `step-failed`
   */
  async exec(
    id: string,
    main: ProcessIdentity,
    request: ExecRequest,
    image: ImageRecord,
  ): Promise<GuestProcess> {
    const wanted = resolveProcess(request, image.defaults);
    const identity = await this.#identify(this.#paths(id).root, wanted.user);
    const { tty = false, columns = COLUMNS, rows = ROWS } = request;
    return this.#begin(id, main, ociProcess(wanted, identity, tty, { columns, rows }));
  }

  /** Starts the probe (`agent/probe`) as another process in the container. The program is passed as an open file. */
  probe(id: string, main: ProcessIdentity, args: readonly string[]): Promise<GuestProcess> {
    const command = [PASSED_HELPER, 'probe', ...args];
    const process = ociProcess({ command, env: [], workingDir: '/' }, ROOT, false);
    return this.#begin(id, main, process);
  }

  /** Passes the process to runc in a file, so that no argument is parsed as an option. */
  async #begin(
    id: string,
    main: ProcessIdentity,
    wanted: ReturnType<typeof ociProcess>,
  ): Promise<GuestProcess> {
    const { artifacts, layout, newId } = this.#deps;
    const path = join(this.#paths(id).run, newId());
    const [file, pidFile, log, console] = [`${path}.json`, `${path}.pid`, `${path}.log`, `${path}.tty`];
    await writeFile(file, JSON.stringify(wanted), { mode: 0o600 });
    const child = spawn(artifacts.helper, ['relay'], {
      stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
      env: {},
    });
    const transport = child.stdio[3] as Duplex;
    const { channel } = await GuestChannel.open(transport, this.#deps, {
      timeoutMs: RELAY_TIMEOUT_MS,
      isReconnect: false,
    });
    const runc = [RUNC, '--root', layout.runcState, '--log', log, 'exec', '--process', file];
    const process = channel.startMain([
      ...runc.map((word) => ['arg', word] as const),
      ['id', id],
      ['pid-file', pidFile],
      ['owner', String(rootIdOf(main.pid))],
      ['open-files', String(openFilesLimit())],
      ...(wanted.terminal ? ([['console', console]] as const) : []),
    ]);
    const channels = this.#channels.get(id) ?? new Set();
    this.#channels.set(id, channels.add(channel));
    const end = () => {
      channel.close();
      channels.delete(channel);
      if (channels.size === 0 && this.#channels.get(id) === channels) this.#channels.delete(id);
    };
    process.exited.then(end, end);
    try {
      await process.started;
      return process;
    } catch (error) {
      throw await this.#explain(error, log);
    } finally {
      for (const one of [file, pidFile, log]) void rm(one, { force: true });
    }
  }

  kill(main: ProcessIdentity, signal: NodeJS.Signals): void {
    killProcess(main, signal);
  }

  async #identify(root: string, user: string): Promise<Identity> {
    const outcome = await runCommand(this.#deps.artifacts.helper, [
      'lookup-user',
      `root=${root}`,
      `user=${user}`,
    ]);
    if (outcome.code !== 0)
      throw new RuntimeError('step-failed', `The process could not be started: ${outcome.stderr.trim()}`);
    const [first = '', ...groups] = outcome.stdout.trim().split('\n');
    const [uid, gid, ...home] = first.split(' ');
    const identity = { uid: Number(uid), gid: Number(gid), home: home.join(' '), groups: groups.map(Number) };
    refuseUnmapped(user, identity);
    return identity;
  }

  /** Deletes runc's container with that id, if any. */
  async #forget(id: string): Promise<void> {
    const { runcState } = this.#deps.layout;
    if (!existsSync(join(runcState, id))) return;
    await runOrFail('The container could not be removed', RUNC, [
      '--root',
      runcState,
      'delete',
      '--force',
      id,
    ]);
  }

  #supervise(id: string, rootId: number, { tty, stdin }: ContainerSpec): Promise<StartedContainer> {
    const paths = this.#paths(id);
    const { layout, artifacts } = this.#deps;
    const args = [
      'run-container',
      `runc=${RUNC}`,
      `state=${layout.runcState}`,
      `id=${id}`,
      `bundle=${paths.run}`,
      `run=${paths.run}`,
      `log=${paths.log}`,
      `exit=${paths.exit}`,
      `owner=${rootId}`,
      openFiles(),
      `oom=${memoryEventsFile(layout.tag, id)}`,
      ...(tty ? ['tty=1'] : []),
      ...(stdin === false ? ['no-input=1'] : []),
    ];
    const child = spawn(artifacts.helper, args, {
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' },
    });
    child.unref();
    return new Promise((resolve, reject) => {
      let said = '';
      let started = false;
      child.stdout.once('data', (line: Buffer) => {
        started = true;
        const main = Number(line.toString());
        const supervisor = identify(child.pid ?? 0);
        child.stdout.destroy();
        child.stderr.destroy();
        // A process that has already ended has no start time. Its exit is in the exit record.
        const process = identify(main) ?? { pid: main, startTicks: 0 };
        resolve({ process, supervisor: supervisor ?? { pid: child.pid ?? 0, startTicks: 0 } });
      });
      child.stderr.on('data', (piece: Buffer) => {
        said += piece.toString();
      });
      child.once('error', reject);
      child.once('close', (code) => {
        const error = new SpawnError(START_PROBLEMS.get(code ?? 0) ?? 0, said.trim());
        if (!started) void this.#explain(error, join(paths.run, 'runc.log')).then(reject);
      });
    });
  }

  /** Takes the reason from the error, or else from runc's log. */
  async #explain(error: unknown, log: string): Promise<RuntimeError> {
    if (!(error instanceof SpawnError) || error.why !== '') return startError(error);
    const text = (await readIfThere(log)) ?? '';
    const words = [...text.matchAll(/msg="((?:[^"\\]|\\.)*)"/g)].at(-1)?.[1] ?? 'runc failed';
    return new RuntimeError(
      'step-failed',
      `The process could not be started: ${words.replaceAll('\\"', '"').slice(-RUNC_LOG_TAIL)}`,
    );
  }

  #paths(id: string) {
    return containerPaths(this.#deps.layout, id);
  }
}

const openFiles = (): string => `open-files=${openFilesLimit()}`;

const refuseUnmapped = (user: string, { uid, gid, groups }: Identity): void => {
  const unmapped = [uid, gid, ...groups].find((one) => one >= NAMESPACE_IDS);
  if (unmapped === undefined) return;
  throw new RuntimeError(
    'step-failed',
    `User ${user} has the id ${unmapped}; a Default container supports the ids 0 to ${NAMESPACE_IDS - 1}`,
    { suggestion: 'Use a user with lower ids, or run the container as HyperV.' },
  );
};
