import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import * as z from 'zod/mini';
import type { ContainerSpec } from '../../../../core/contract/container.ts';
import { RuntimeError } from '../../../errors.ts';
import type { LinuxDeps } from '../deps.ts';
import { readRecord, writeRecord } from '../files.ts';
import { containerPaths, deviceName, devicePrefix } from '../layout.ts';
import type { LeaseKind } from '../leases.ts';
import { runCommand, runOrFail } from '../run-command.ts';
import type { GuestNetwork } from '../vm/utility-vm.ts';
import { isPortInUse } from './port-in-use.ts';

export const NAT = 'NAT';
/** Containers have single addresses of this network; nobody shares a link with another. */
const NETWORK = [10, 213] as const;
const CIDR = `${NETWORK.join('.')}.0.0/16`;
/** On the host's end of every container's link, so it is the same everywhere. */
const GATEWAY = `${NETWORK.join('.')}.0.1`;
const LINK_LOCAL = '169.254.0.0/16';

const PortSchema = z.strictObject({
  hostPort: z.int(),
  containerPort: z.int(),
  protocol: z.enum(['tcp', 'udp']),
});
export const EndpointSchema = z.strictObject({
  device: z.string(),
  /** Of a Default container: the network namespace. */
  namespace: z.nullable(z.string()),
  address: z.string(),
  mac: z.string(),
  ports: z.array(PortSchema),
});
export type Endpoint = z.infer<typeof EndpointSchema>;

/** Where `ip netns` keeps the namespaces that it makes. */
export const namespacePath = ({ namespace }: Endpoint): string | null =>
  namespace === null ? null : `/run/netns/${namespace}`;

const addressOf = (offset: number): string => `${NETWORK.join('.')}.${offset >> 8}.${offset & 255}`;
/** Locally administered, and the address once more. */
const macOf = (address: string): string =>
  `02:bb:${address
    .split('.')
    .map((part) => Number(part).toString(16).padStart(2, '0'))
    .join(':')}`;

/**
 * The switch `NAT`: every container has a link of its own to this machine (a veth pair, or its VM's tap), an address
 * of its own, the way out by masquerading, and published ports. Links are routed, not bridged, so a container
 * can take nobody else's address: the kernel drops what comes from a link with a source that is not routed there.
 * Neither this machine's own loopback services nor a cloud's link-local ones (credentials!) can be reached.
 */
export class NatSwitch {
  readonly #deps: LinuxDeps;
  readonly #table: string;

  constructor(deps: LinuxDeps) {
    this.#deps = deps;
    this.#table = `bulkhead_${deps.layout.tag}`;
  }

  get resolverPath(): string {
    return join(this.#deps.layout.run, 'resolv.conf');
  }

  /**
   * Makes the firewall's table and turns forwarding on.
   * @throws {RuntimeError} where the machine does not allow it: at the host's start, not at a container's
   */
  async prepare(): Promise<void> {
    const devices = devicePrefix(this.#deps.layout).map((prefix) => `"${prefix}*"`);
    const rules = natTable(this.#table, `{ ${devices.join(', ')} }`);
    const outcome = await runCommand('nft', ['-f', '-'], { input: rules }).catch((error: Error) => ({
      code: 1,
      stderr: error.message,
    }));
    if (outcome.code !== 0)
      throw new RuntimeError(
        'step-failed',
        `This machine does not allow containers a network: ${outcome.stderr.trim().split('\n')[0]}`,
        {
          suggestion: 'The agent needs CAP_NET_ADMIN and the kernel’s nf_tables with NAT.',
        },
      );
    await writeFile('/proc/sys/net/ipv4/ip_forward', '1');
    await mkdir(dirname(this.resolverPath), { recursive: true });
    await writeFile(this.resolverPath, await readResolver(), { mode: 0o644 });
  }

  /** Removes the table; only once no container has an endpoint. */
  async remove(): Promise<void> {
    await runCommand('nft', ['delete', 'table', 'ip', this.#table]);
  }

  endpoint(id: string): Promise<Endpoint | null> {
    return readRecord(containerPaths(this.#deps.layout, id).endpoint, EndpointSchema);
  }

  /**
   * Makes a container's endpoint.
   * @param vmId of its VM, whose tap is the link; null for a Default container, which gets a network namespace
   */
  async connect(id: string, vmId: string | null, ports: ContainerSpec['ports']): Promise<Endpoint> {
    const known = await this.endpoint(id);
    if (known) return known;
    const address = addressOf(await this.#deps.leases.take('address', id));
    const endpoint: Endpoint = {
      device:
        vmId === null ? deviceName(this.#deps.layout, 'v', id) : deviceName(this.#deps.layout, 't', vmId),
      namespace: vmId === null ? `bulkhead-${this.#deps.layout.tag}-${id}` : null,
      address,
      mac: macOf(address),
      ports: await this.#takePorts(id, ports ?? []),
    };
    const { endpoint: path, run } = containerPaths(this.#deps.layout, id);
    await mkdir(run, { recursive: true, mode: 0o711 });
    try {
      if (endpoint.namespace !== null) await this.#makeLink(endpoint, endpoint.namespace);
      await this.#makeRoute(endpoint);
      await this.#publish('add', endpoint);
      await writeRecord(path, endpoint);
    } catch (error) {
      await this.#undo(id, endpoint);
      throw error;
    }
    return endpoint;
  }

  /** What a guest has to be told of its endpoint. */
  async guestNetwork(endpoint: Endpoint): Promise<GuestNetwork> {
    const resolver = await readFile(this.resolverPath, 'utf8');
    return { mac: endpoint.mac, address: endpoint.address, gateway: GATEWAY, resolver };
  }

  async disconnect(id: string): Promise<void> {
    const endpoint = await this.endpoint(id);
    if (endpoint) await this.#undo(id, endpoint);
    else await this.#releaseLeases(id);
  }

  async #takePorts(id: string, ports: NonNullable<ContainerSpec['ports']>): Promise<Endpoint['ports']> {
    const taken: Endpoint['ports'] = [];
    try {
      for (const { hostPort: wanted, containerPort, protocol = 'tcp' } of ports)
        taken.push({
          hostPort: await this.#takePort(`${id}/${containerPort}`, protocol, wanted),
          containerPort,
          protocol,
        });
      return taken;
    } catch (error) {
      await this.#releaseLeases(id);
      throw error;
    }
  }

  async #takePort(owner: string, protocol: 'tcp' | 'udp', wanted: number | undefined): Promise<number> {
    const { leases } = this.#deps;
    const isFree = async (port: number) => !(await isPortInUse(protocol, port));
    if (wanted === undefined) return leases.take(protocol, owner, isFree);
    const refuse = (by: string) =>
      new RuntimeError('step-failed', `Port ${wanted}/${protocol} of the host is in use by ${by}`);
    if (!(await leases.takeExactly(protocol, wanted, owner))) throw refuse('another container');
    if (!(await isFree(wanted))) throw refuse('a program of the host');
    return wanted;
  }

  async #makeLink({ device, address, mac }: Endpoint, namespace: string): Promise<void> {
    const fail = 'The network of the container could not be made';
    await runOrFail(fail, 'ip', ['netns', 'add', namespace]);
    const host = `link add ${device} type veth peer name eth0 address ${mac} netns ${namespace}\n`;
    await runOrFail(fail, 'ip', ['-batch', '-'], { input: host });
    const inside = [
      'link set lo up',
      `address add ${address}/32 dev eth0`,
      'link set eth0 up',
      `route add ${GATEWAY} dev eth0`,
      `route add default via ${GATEWAY} dev eth0`,
    ];
    await runOrFail(fail, 'ip', ['-n', namespace, '-batch', '-'], { input: `${inside.join('\n')}\n` });
  }

  async #makeRoute({ device, address }: Endpoint): Promise<void> {
    const commands = [
      `address add ${GATEWAY}/32 dev ${device}`,
      `link set ${device} up`,
      `route replace ${address}/32 dev ${device} src ${GATEWAY}`,
    ];
    await runOrFail('The network of the container could not be made', 'ip', ['-batch', '-'], {
      input: `${commands.join('\n')}\n`,
    });
    // Strict: what comes from this link must have a source that is routed to this link.
    await writeFile(`/proc/sys/net/ipv4/conf/${device}/rp_filter`, '1');
    await writeFile(`/proc/sys/net/ipv4/conf/${device}/route_localnet`, '1');
  }

  async #publish(action: 'add' | 'delete', { address, ports }: Endpoint): Promise<void> {
    if (ports.length === 0) return;
    const lines = ports.map(
      ({ hostPort, containerPort, protocol }) =>
        `${action} element ip ${this.#table} published_${protocol} { ${hostPort} : ${address} . ${containerPort} }`,
    );
    await runOrFail('The ports could not be published', 'nft', ['-f', '-'], {
      input: `${lines.join('\n')}\n`,
    });
  }

  async #undo(id: string, endpoint: Endpoint): Promise<void> {
    await this.#publish('delete', endpoint).catch(() => {});
    // Deleting one end of a veth pair deletes both; a tap goes with its VM and only loses its address here.
    if (endpoint.namespace !== null) {
      await runCommand('ip', ['link', 'delete', 'dev', endpoint.device]);
      await runCommand('ip', ['netns', 'delete', endpoint.namespace]);
    } else {
      await runCommand('ip', ['address', 'flush', 'dev', endpoint.device]);
      await runCommand('ip', ['link', 'set', 'dev', endpoint.device, 'down']);
    }
    await rm(containerPaths(this.#deps.layout, id).endpoint, { force: true });
    await this.#releaseLeases(id);
  }

  async #releaseLeases(id: string): Promise<void> {
    await this.#deps.leases.release('address', id);
    for (const kind of ['tcp', 'udp'] as const satisfies readonly LeaseKind[])
      for (const lease of await this.#deps.leases.held(kind))
        if (lease.id.startsWith(`${id}/`)) await this.#deps.leases.release(kind, lease.id);
  }
}

/** Adding what is there changes nothing, so this may be applied at every start. Rules are made anew with their chains. */
const natTable = (table: string, devices: string): string => `
add table ip ${table}
add map ip ${table} published_tcp { type inet_service : ipv4_addr . inet_service ; }
add map ip ${table} published_udp { type inet_service : ipv4_addr . inet_service ; }
add chain ip ${table} early { type filter hook prerouting priority raw ; policy accept ; }
add chain ip ${table} inbound { type nat hook prerouting priority dstnat ; policy accept ; }
add chain ip ${table} local { type nat hook output priority -100 ; policy accept ; }
add chain ip ${table} outbound { type nat hook postrouting priority srcnat ; policy accept ; }
flush chain ip ${table} early
flush chain ip ${table} inbound
flush chain ip ${table} local
flush chain ip ${table} outbound
add rule ip ${table} early iifname ${devices} ip daddr { 127.0.0.0/8, ${LINK_LOCAL} } drop
add rule ip ${table} inbound fib daddr type local dnat ip addr . port to tcp dport map @published_tcp
add rule ip ${table} inbound fib daddr type local dnat ip addr . port to udp dport map @published_udp
add rule ip ${table} local fib daddr type local dnat ip addr . port to tcp dport map @published_tcp
add rule ip ${table} local fib daddr type local dnat ip addr . port to udp dport map @published_udp
add rule ip ${table} outbound ip saddr ${CIDR} oifname != ${devices} masquerade
add rule ip ${table} outbound ip saddr 127.0.0.0/8 oifname ${devices} masquerade
`;

/** The machine's name servers. One on its loopback cannot be reached from a container, and is left out. */
const readResolver = async (): Promise<string> => {
  const own = await readFile('/etc/resolv.conf', 'utf8').catch(() => '');
  return own
    .split('\n')
    .filter((line) => /^(nameserver|search|options)\s/.test(line) && !/^nameserver\s+(127\.|::1)/.test(line))
    .join('\n')
    .concat('\n');
};
