import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { promisify } from 'node:util';
import { createLayout } from '../../agent/runtimes/linux/layout.ts';
import type { Endpoint } from '../../agent/runtimes/linux/network/endpoint.ts';
import { routerName } from '../../agent/runtimes/linux/network/router.ts';
import {
  DEFAULT_NETWORK,
  type NetworkReport,
  type ResolvedNetworkPolicy,
} from '../../core/contract/network.ts';
import { linuxHostFolder } from './linux-host.ts';

const SWITCH_PROCESS = new URL('switch-host-process.ts', import.meta.url).pathname;
const run = promisify(execFile);

/** Addresses outside the test's machine. All of them belong to one server in a separate namespace. */
export const OUTSIDE = {
  public: '11.22.33.2',
  otherPublic: '11.22.33.3',
  lan: '10.99.0.2',
  closed: '172.31.99.2',
  metadata: '169.254.169.254',
} as const;
/** The machine's own addresses. */
export const OWN = { public: '11.22.33.1', lan: '10.99.0.1', gateway: '10.213.0.1' } as const;
/** Port of the server outside, and of a service of the machine on 0.0.0.0. Both return the client's address. */
export const PORT = 8080;
/** The private range that the machine's operator allows policies to open. */
export const OPENED = '10.99.0.0/16';

const SAY_WHO_ASKS = `require('node:net').createServer((s) => { s.on('error', () => {}); s.end('heard ' + s.remoteAddress); })
  .listen(${PORT}, '0.0.0.0', () => console.log('ready'))`;

const silently = (program: string, ...words: string[]): string => {
  try {
    return execFileSync(program, words, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  } catch (error) {
    return String((error as { stdout?: string }).stdout ?? '');
  }
};

/** A machine in network namespaces, so that changes to its firewall affect nothing else. */
export class SwitchWorld {
  readonly #machine: string;
  readonly #outside: string;
  readonly #servers: ChildProcess[] = [];

  static async open(name: string): Promise<SwitchWorld> {
    const world = new SwitchWorld(`${name}-${process.pid}`);
    await world.#make();
    return world;
  }

  private constructor(name: string) {
    this.#machine = `machine-${name}`;
    this.#outside = `outside-${name}`;
  }

  get machine(): string {
    return `/run/netns/${this.#machine}`;
  }

  /** Runs a program on the machine. Returns its output, even if it failed. */
  onMachine(...words: string[]): string {
    return silently('nsenter', `--net=${this.machine}`, '--', ...words);
  }

  /** Runs a program outside the machine. Returns its output, even if it failed. */
  outside(...words: string[]): string {
    return silently('nsenter', `--net=/run/netns/${this.#outside}`, '--', ...words);
  }

  /** Starts a program outside the machine and waits for its first line. */
  async serveOutside(...words: string[]): Promise<ChildProcess> {
    return this.#serve(`/run/netns/${this.#outside}`, words);
  }
  async serveOnMachine(...words: string[]): Promise<ChildProcess> {
    return this.#serve(this.machine, words);
  }

  async close(): Promise<void> {
    for (const server of this.#servers) {
      if (server.exitCode === null && server.signalCode === null) {
        server.kill('SIGKILL');
        await once(server, 'exit');
      }
    }
    for (const name of [this.#outside, this.#machine]) execFileSync('ip', ['netns', 'delete', name]);
  }

  async #serve(namespace: string, words: readonly string[]): Promise<ChildProcess> {
    const server = spawn('nsenter', [`--net=${namespace}`, '--', ...words], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    this.#servers.push(server);
    await once(server.stdout, 'data');
    return server;
  }

  async #make(): Promise<void> {
    for (const name of [this.#outside, this.#machine]) execFileSync('ip', ['netns', 'add', name]);
    const ip = (name: string, ...lines: string[]) =>
      execFileSync('ip', ['-n', name, '-batch', '-'], { input: `${lines.join('\n')}\n` });
    ip(
      this.#machine,
      'link set lo up',
      `link add eth0 type veth peer name far0 netns ${this.#outside}`,
      `address add ${OWN.public}/24 dev eth0`,
      `address add ${OWN.lan}/24 dev eth0`,
      'link set eth0 up',
      `route add ${OUTSIDE.closed} dev eth0`,
      `route add ${OUTSIDE.metadata} dev eth0`,
    );
    ip(
      this.#outside,
      'link set lo up',
      ...Object.values(OUTSIDE).map((address) => `address add ${address}/32 dev far0`),
      'link set far0 up',
      'route add 11.22.33.0/24 dev far0',
      'route add 10.99.0.0/24 dev far0',
    );
    await this.serveOutside(process.execPath, '-e', SAY_WHO_ASKS);
    await this.serveOnMachine(process.execPath, '-e', SAY_WHO_ASKS);
  }
}

interface SwitchOptions {
  readonly allowPrivate?: readonly string[];
  readonly nameServers?: readonly string[];
}

/** The switch of one agent on the machine. Its containers are network namespaces, like those of Default containers. */
export class SwitchAgent {
  readonly #world: SwitchWorld;
  readonly #folder: string;
  readonly #options: SwitchOptions;
  readonly #endpoints = new Map<string, Endpoint>();
  #process: ChildProcess | null = null;

  static async open(world: SwitchWorld, name: string, options: SwitchOptions = {}): Promise<SwitchAgent> {
    const agent = new SwitchAgent(world, linuxHostFolder(name), options);
    await agent.start();
    return agent;
  }

  private constructor(world: SwitchWorld, folder: string, options: SwitchOptions) {
    this.#world = world;
    this.#folder = folder;
    this.#options = options;
  }

  get router(): string {
    return routerName(createLayout(this.#folder).tag);
  }
  /** The machine's end of the link to the router. */
  get hostDevice(): string {
    return `bhr${createLayout(this.#folder).tag}`;
  }

  async start(): Promise<void> {
    const { allowPrivate = [OPENED], nameServers = ['127.0.0.1#5353'] } = this.#options;
    const program = [process.execPath, '--disable-warning=ExperimentalWarning', SWITCH_PROCESS];
    const words = [...program, this.#folder, allowPrivate.join(','), nameServers.join(',')];
    this.#process = spawn('nsenter', [`--net=${this.#world.machine}`, '--', ...words], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      env: { ...process.env, NODE_OPTIONS: '' },
    });
    await once(this.#process, 'message');
  }

  /** Kills its processes like a power loss, but the kernel's state remains. */
  async kill(): Promise<void> {
    const running = this.#process;
    this.#process = null;
    running?.kill('SIGKILL');
    if (running) await once(running, 'exit');
  }

  async connect(
    id: string,
    policy: ResolvedNetworkPolicy = DEFAULT_NETWORK.network,
    ports: readonly object[] = [],
  ): Promise<Endpoint> {
    const made = (await this.#call('connect', id, { ports, network: policy })) as Endpoint;
    this.#endpoints.set(id, made);
    return made;
  }
  async setPolicy(id: string, policy: ResolvedNetworkPolicy): Promise<void> {
    await this.#call('setPolicy', id, policy);
  }
  async report(id: string): Promise<NetworkReport> {
    return (await this.#call('report', id)) as NetworkReport;
  }
  async disconnect(id: string): Promise<void> {
    await this.#call('disconnect', id);
    this.#endpoints.delete(id);
  }

  /** Removes everything that the switch has created on the machine. */
  async remove(): Promise<void> {
    if (this.#process === null) await this.start();
    for (const id of this.#endpoints.keys()) await this.#call('disconnect', id);
    await this.#call('remove');
    await this.kill();
    rmSync(createLayout(this.#folder).run, { recursive: true, force: true });
  }

  endpoint(id: string): Endpoint {
    const endpoint = this.#endpoints.get(id);
    if (endpoint === undefined) throw new TypeError(`There is no container ${id}`);
    return endpoint;
  }

  /** Runs a program in a container. Returns its output, even if it failed. */
  async inside(id: string, ...words: string[]): Promise<string> {
    const { namespace } = this.endpoint(id);
    const command = [`--net=/run/netns/${namespace}`, '--', ...words];
    return run('nsenter', command).then(
      ({ stdout, stderr }) => stdout + stderr,
      (error: { stdout?: string; stderr?: string }) => `${error.stdout ?? ''}${error.stderr ?? ''}`,
    );
  }

  /** The targets that answer the container. All are tried at the same time. */
  async reachable<Name extends string>(
    id: string,
    targets: Readonly<Record<Name, readonly [address: string, port: number]>>,
  ): Promise<Name[]> {
    const names = Object.keys(targets) as Name[];
    const answers = await Promise.all(
      names.map(async (name) => {
        const [address, port] = targets[name];
        const asked = await this.inside(id, 'busybox', 'nc', '-w', '2', address, String(port));
        return asked.startsWith('heard');
      }),
    );
    return names.filter((_, index) => answers[index]);
  }

  /** The output of a program in the router's namespace. */
  inRouter(...words: string[]): string {
    return silently('nsenter', `--net=/run/netns/${this.router}`, '--', ...words);
  }

  async #call(call: string, ...args: unknown[]): Promise<unknown> {
    if (this.#process === null) throw new TypeError('The agent is not running');
    this.#process.send({ call, args });
    const [answer] = (await once(this.#process, 'message')) as [{ value?: unknown; error?: string }];
    if (answer.error !== undefined) throw new TypeError(answer.error);
    return answer.value;
  }
}
