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
/** Of the router's end of each Default container's link. */
const GATEWAY_MAC = macOf(GATEWAY);

/** What the endpoint is made for: a Default container by its user namespace, or a VM, whose tap is the link. */
type Inside =
  | { readonly owner: UserNamespace }
  | { readonly vmId: string; readonly configure: (network: GuestNetwork) => Promise<void> };

/**
 * The switch `NAT`: every container has a link of its own to the agent's router (a veth pair, or its VM's tap), an
 * address of its own, a policy, and published ports. `router.ts` says where packets are judged.
 *
 * An endpoint is recorded, then its rules are made, then its link, then it is complete. One that is not complete when
 * the agent dies is removed before it is made again.
 */
export class NatSwitch {
  readonly #deps: LinuxDeps;
  readonly #router: Router;
  readonly #hostTable: HostTable;
  readonly #watch: HostWatch;
  readonly #resolver: ResolverProcess;
  /** The last change of each container's endpoint: a policy may come while it is made or removed. */
  readonly #changes = new Map<string, Promise<unknown>>();

  /**
   * Finds or makes the router, and joins it to the host.
   * @param allowPrivate private ranges that policies may open
   * @param nameServers whom the switch's resolver asks, as `host#port`; none: the host's own
   * @throws {RuntimeError} where the machine does not allow it: at the host's start, not at a container's
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
  }

  get resolverPath(): string {
    return this.#resolver.resolvConfPath;
  }

  /** Stops following the host's network. What containers have stays. */
  close(): Promise<void> {
    return this.#watch.close();
  }

  /** Removes the router and the host's table; only once no container has an endpoint. */
  async remove(): Promise<void> {
    await this.close();
    await this.#resolver.stop();
    await this.#router.remove();
    await this.#hostTable.remove();
    await this.#deps.leases.release('router', LEASE);
  }

  /** What a container has; null for none, or one that is only half made. */
  async endpoint(id: string): Promise<Endpoint | null> {
    const endpoint = await this.#read(id);
    return endpoint?.complete ? endpoint : null;
  }

  /** Makes a container's endpoint, and configures the network device of its guest. */
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
      // The router drops what a guest sends before its rules are there.
      await allSettled([this.#make(endpoint, inside), this.#configureGuest(endpoint, inside)]);
      await writeRecord(path, EndpointFormat, made);
    } catch (error) {
      await this.#undo(id, endpoint);
      throw error;
    }
    return made;
  }

  /** Puts another policy in force, for open connections as well. Nothing happens without an endpoint. */
  setPolicy(id: string, policy: ResolvedNetworkPolicy): Promise<void> {
    return this.#inTurn(id, () => this.#setPolicy(id, policy));
  }

  /** The policy in force and what it has dropped; null for a container without a network. */
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
    // The ceiling may be another than that of the agent before.
    const settings = this.#router.settings;
    const rules = endpoints.map((one) => containerRules(one, settings, this.#newGeneration(), one.policy));
    if (rules.length > 0) await this.#router.nft(rules.join(''));
    await writeFile('/proc/sys/net/ipv4/ip_forward', '1');
    for (const one of endpoints) await this.#resolver.serve(one, settings.allowPrivate);
    await this.#resolver.start();
  }

  /** Endpoints that an earlier agent has left complete. */
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
    if (namespace !== null) await configureInside(endpoint, namespace);
  }

  /** As `ip netns add` makes one, but owned by the container's user namespace: its root has rights over it. */
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
    // The resolver last: it opens addresses in sets that are there then.
    await this.#router.nft(rules);
    await writeRecord(containerPaths(this.#deps.layout, id).endpoint, EndpointFormat, changed);
    await this.#resolver.serve(changed, this.#router.settings.allowPrivate);
  }

  async #undo(id: string, endpoint: Endpoint): Promise<void> {
    await this.#resolver.forget(endpoint);
    await this.#hostTable.publish('delete', endpoint.ports).catch(() => {});
    const { device, namespace } = endpoint;
    // Deleting one end of a veth pair deletes both; a tap goes with its VM, and is only shut.
    const link = namespace === null ? `link set dev ${device} down` : `link delete dev ${device}`;
    await this.#router.ip([link]).catch(() => {});
    if (namespace !== null) await runCommand('ip', ['netns', 'delete', namespace]);
    await this.#router.nft(removalRules(endpoint, this.#router.settings));
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
    // Its only neighbour is known. By asking for others it could fill the kernel's table, which all of the machine shares.
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
