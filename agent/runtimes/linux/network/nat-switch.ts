import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import type { ContainerSpec } from '../../../../core/contract/container.ts';
import type { NetworkReport, ResolvedNetworkPolicy } from '../../../../core/contract/network.ts';
import { allSettled } from '../all-settled.ts';
import type { UserNamespace } from '../container/user-namespaces.ts';
import type { LinuxDeps } from '../deps.ts';
import { readRecord, writeRecord } from '../files.ts';
import { containerPaths, deviceName } from '../layout.ts';
import { runCommand, runOrFail } from '../run-command.ts';
import type { GuestNetwork } from '../vm/utility-vm.ts';
import { addressOf, GATEWAY, macOf } from './addresses.ts';
import { Connections } from './connections.ts';
import { containerRules, linkRules, removalRules } from './container-rules.ts';
import { type Endpoint, EndpointFormat, namespacePath } from './endpoint.ts';
import { HostTable } from './host-table.ts';
import { HostWatch } from './host-watch.ts';
import { releasePorts, takePorts } from './published-ports.ts';
import { ResolverProcess } from './resolver-process.ts';
import { NETWORK_FAILED, Router } from './router.ts';

export const NAT = 'NAT';
const LEASE = 'router';
const GENERATION_BYTES = 4;
/** The MAC address of the router's end of each Default container's link. */
const GATEWAY_MAC = macOf(GATEWAY);

/** The inside of an endpoint: the user namespace of a Default container, or a VM, whose tap device is the link. */
type Inside =
  | { readonly owner: UserNamespace }
  | { readonly vmId: string; readonly configure: (network: GuestNetwork) => Promise<void> };

/**
 * The switch `NAT`. Every container has its own link to the agent's router (a veth pair, or its VM's tap device), its
 * own address, a policy and published ports. `router.ts` describes where packets are filtered.
 *
 * An endpoint is created in this order: its record, its rules, its link, the mark that it is complete. If the agent
 * crashes before that mark, the endpoint is removed and created again.
 */
export class NatSwitch {
  readonly #deps: LinuxDeps;
  readonly #router: Router;
  readonly #hostTable: HostTable;
  readonly #watch: HostWatch;
  readonly #resolver: ResolverProcess;
  readonly #connections: Connections;
  /**
   * The last change of each container's endpoint. Changes run one after another, because a policy can arrive while the
   * endpoint is being created or removed.
   */
  readonly #changes = new Map<string, Promise<unknown>>();

  /**
   * Opens or creates the router, and connects it to the host.
   * @param allowPrivate private ranges that policies can open
   * @param nameServers upstream servers of the switch's resolver, as `host#port`; if empty, the host's name servers
   * @throws {RuntimeError} if this machine does not support it, so that the host fails at its start and not at the
   * first container
   */
  static async open(
    deps: LinuxDeps,
    allowPrivate: readonly string[],
    nameServers: readonly string[],
  ): Promise<NatSwitch> {
    const address = addressOf(await deps.leases.take('router', LEASE));
    const router = new Router(deps.layout.tag, address, allowPrivate);
    const hostTable = new HostTable(deps.layout.tag, router.hostDevice, address);
    const resolver = new ResolverProcess(deps, router.path, nameServers);
    const opened = new NatSwitch(deps, router, hostTable, resolver);
    try {
      await opened.#prepare();
    } catch (error) {
      await opened.close();
      if (!(await router.isUsed())) await opened.remove().catch(() => {});
      throw error;
    }
    return opened;
  }

  private constructor(deps: LinuxDeps, router: Router, hostTable: HostTable, resolver: ResolverProcess) {
    this.#deps = deps;
    this.#router = router;
    this.#hostTable = hostTable;
    this.#watch = new HostWatch(deps, router, hostTable);
    this.#resolver = resolver;
    const inRouter = (...command: string[]) => router.inside(...command);
    this.#connections = new Connections(deps, inRouter, router.settings.address);
  }

  get resolverPath(): string {
    return this.#resolver.resolvConfPath;
  }

  /** Stops watching the host's network. Containers keep their endpoints. */
  close(): Promise<void> {
    return this.#watch.close();
  }

  /** Removes the router and the host's table. Must be called only when no container has an endpoint. */
  async remove(): Promise<void> {
    await this.close();
    await this.#resolver.stop();
    await this.#router.remove();
    await this.#hostTable.remove();
    await this.#deps.leases.release('router', LEASE);
  }

  /** A container's endpoint; null if it has none, or an incomplete one. */
  async endpoint(id: string): Promise<Endpoint | null> {
    const endpoint = await this.#read(id);
    return endpoint?.complete ? endpoint : null;
  }

  /** Creates a container's endpoint, and configures the network device of its guest. */
  connect(id: string, spec: ContainerSpec, inside: Inside): Promise<Endpoint> {
    return this.#inTurn(id, () => this.#connect(id, spec, inside));
  }

  async #connect(id: string, { ports, network }: ContainerSpec, inside: Inside): Promise<Endpoint> {
    const known = await this.#read(id);
    if (known?.complete) {
      await this.#configureGuest(known, inside);
      return known;
    }
    if (known) await this.#undo(id, known);
    const address = addressOf(await this.#deps.leases.take('address', id));
    const endpoint: Endpoint = {
      ...this.#linkOf(id, inside),
      address,
      mac: macOf(address),
      ports: await takePorts(this.#deps.leases, id, ports ?? []),
      policy: network,
      complete: false,
    };
    const { endpoint: path, run } = containerPaths(this.#deps.layout, id);
    await mkdir(run, { recursive: true, mode: 0o711 });
    const made = { ...endpoint, complete: true };
    try {
      await writeRecord(path, EndpointFormat, endpoint);
      // The router drops a guest's packets until its rules exist.
      await allSettled([this.#make(endpoint, inside), this.#configureGuest(endpoint, inside)]);
      await writeRecord(path, EndpointFormat, made);
    } catch (error) {
      await this.#undo(id, endpoint);
      throw error;
    }
    return made;
  }

  /** Applies another policy, including to open connections. Has no effect without an endpoint. */
  setPolicy(id: string, policy: ResolvedNetworkPolicy): Promise<void> {
    return this.#inTurn(id, () => this.#setPolicy(id, policy));
  }

  /** The policy in force and the number of packets that it has dropped; null for a container without a network. */
  async report(id: string): Promise<NetworkReport | null> {
    const endpoint = await this.endpoint(id);
    if (endpoint === null) return null;
    return {
      policy: endpoint.policy,
      ceiling: [...this.#router.settings.allowPrivate],
      dropped: { packets: await this.#router.droppedPackets(endpoint) },
    };
  }

  async #configureGuest({ mac, address }: Endpoint, inside: Inside): Promise<void> {
    if (!('vmId' in inside)) return;
    const resolver = await this.#resolver.writeResolvConf();
    await inside.configure({ mac, address, gateway: GATEWAY, resolver });
  }

  disconnect(id: string): Promise<void> {
    return this.#inTurn(id, async () => {
      const endpoint = await this.#read(id);
      if (endpoint) await this.#undo(id, endpoint);
      else await this.#releaseLeases(id);
    });
  }

  #inTurn<T>(id: string, change: () => Promise<T>): Promise<T> {
    const turn = (this.#changes.get(id) ?? Promise.resolve()).then(change, change);
    this.#changes.set(id, turn);
    const forget = () => {
      if (this.#changes.get(id) === turn) this.#changes.delete(id);
    };
    turn.then(forget, forget);
    return turn;
  }

  async #prepare(): Promise<void> {
    const endpoints = await this.#recorded();
    await this.#hostTable.prepare(endpoints.flatMap(({ ports }) => ports));
    await this.#router.prepare();
    await this.#watch.start();
    // The previous agent may have had another ceiling.
    const settings = this.#router.settings;
    const rules = endpoints.map((one) => containerRules(one, settings, this.#newGeneration(), one.policy));
    if (rules.length > 0) await this.#router.nft(rules.join(''));
    await writeFile('/proc/sys/net/ipv4/ip_forward', '1');
    for (const one of endpoints) await this.#resolver.serve(one, settings.allowPrivate);
    await this.#resolver.start();
  }

  /** Complete endpoints of an earlier agent. */
  async #recorded(): Promise<readonly Endpoint[]> {
    const ids = await readdir(this.#deps.layout.runContainers).catch(() => []);
    const endpoints = await Promise.all(ids.map((id) => this.endpoint(id)));
    return endpoints.filter((endpoint) => endpoint !== null);
  }

  #read(id: string): Promise<Endpoint | null> {
    return readRecord(containerPaths(this.#deps.layout, id).endpoint, EndpointFormat);
  }

  #linkOf(id: string, inside: Inside): Pick<Endpoint, 'device' | 'namespace'> {
    const { layout } = this.#deps;
    return 'vmId' in inside
      ? { device: deviceName(layout, 't', inside.vmId), namespace: null }
      : { device: deviceName(layout, 'v', id), namespace: `bulkhead-${layout.tag}-${id}` };
  }

  async #make(endpoint: Endpoint, inside: Inside): Promise<void> {
    const { settings } = this.#router;
    const rules = containerRules(endpoint, settings, this.#newGeneration(), null) + linkRules(endpoint);
    const { namespace } = endpoint;
    await Promise.all([
      this.#router.nft(rules),
      'vmId' in inside ? undefined : this.#makeNamespace(endpoint, inside.owner),
      this.#hostTable.publish('add', endpoint.ports),
      this.#resolver.serve(endpoint, settings.allowPrivate),
      'vmId' in inside ? undefined : this.#resolver.writeResolvConf(),
    ]);
    await this.#router.ip([
      ...(namespace === null ? [] : [vethTo(endpoint, namespace)]),
      ...upCommands(endpoint),
    ]);
    await Promise.all([
      namespace === null ? undefined : configureInside(endpoint, namespace),
      this.#connections.published(endpoint.ports),
    ]);
  }

  /**
   * Creates a network namespace like `ip netns add`, but owned by the container's user namespace, so that its root can
   * configure it.
   */
  async #makeNamespace(endpoint: Endpoint, owner: UserNamespace): Promise<void> {
    await runOrFail(NETWORK_FAILED, this.#deps.artifacts.helper, [
      'make-network-namespace',
      `user=${owner.path}`,
      `first-id=${owner.firstId}`,
      `file=${namespacePath(endpoint)}`,
    ]);
  }

  async #setPolicy(id: string, policy: ResolvedNetworkPolicy): Promise<void> {
    const endpoint = await this.endpoint(id);
    if (endpoint === null) return;
    const changed = { ...endpoint, policy };
    const rules = containerRules(changed, this.#router.settings, this.#newGeneration(), endpoint.policy);
    // The resolver is updated last, because it adds addresses to sets that these rules create.
    await this.#router.nft(rules);
    await writeRecord(containerPaths(this.#deps.layout, id).endpoint, EndpointFormat, changed);
    await this.#resolver.serve(changed, this.#router.settings.allowPrivate);
  }

  async #undo(id: string, endpoint: Endpoint): Promise<void> {
    await this.#resolver.forget(endpoint);
    await this.#hostTable.publish('delete', endpoint.ports).catch(() => {});
    const { device, namespace } = endpoint;
    // Deleting one end of a veth pair deletes both. A tap device is removed with its VM, so it is only set down.
    const link = namespace === null ? `link set dev ${device} down` : `link delete dev ${device}`;
    await this.#router.ip([link]).catch(() => {});
    if (namespace !== null) await runCommand('ip', ['netns', 'delete', namespace]);
    await this.#router.nft(removalRules(endpoint, this.#router.settings));
    await this.#connections.removed(endpoint);
    await rm(containerPaths(this.#deps.layout, id).endpoint, { force: true });
    await this.#releaseLeases(id);
  }

  async #releaseLeases(id: string): Promise<void> {
    await this.#deps.leases.release('address', id);
    await releasePorts(this.#deps.leases, id);
  }

  #newGeneration(): number {
    return this.#deps.randomBytes(GENERATION_BYTES).readUInt32LE() || 1;
  }
}

const vethTo = ({ device, mac }: Endpoint, namespace: string): string =>
  `link add ${device} address ${GATEWAY_MAC} type veth peer name eth0 address ${mac} netns ${namespace}`;

const upCommands = ({ device, address, mac }: Endpoint): readonly string[] => [
  `link set ${device} up`,
  `neighbour replace ${address} lladdr ${mac} dev ${device} nud permanent`,
  `route replace ${address}/32 dev ${device} src ${GATEWAY}`,
];

const configureInside = async ({ address }: Endpoint, namespace: string): Promise<void> => {
  const commands = [
    'link set lo up',
    `address add ${address}/32 dev eth0`,
    // Its only neighbor is configured here. ARP requests could fill the kernel's neighbor table, which the whole
    // machine shares.
    'link set eth0 arp off',
    'link set eth0 up',
    `neighbour replace ${GATEWAY} lladdr ${GATEWAY_MAC} dev eth0 nud permanent`,
    `route add ${GATEWAY} dev eth0`,
    `route add default via ${GATEWAY} dev eth0`,
  ];
  await runOrFail(NETWORK_FAILED, 'ip', ['-n', namespace, '-batch', '-'], {
    input: `${commands.join('\n')}\n`,
  });
};
