import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import * as z from 'zod/mini';
import { runCommand, runOrFail } from '../run-command.ts';
import { GATEWAY, HOST_END, NETWORK_CIDR } from './addresses.ts';
import { counterName } from './container-rules.ts';
import { type Endpoint, namedNamespace } from './endpoint.ts';
import { type RouterSettings, routerTable, TABLE, UPLINK } from './router-rules.ts';

export const NETWORK_FAILED = 'The network of the container could not be created';
/** One container can use a fraction 1/FLOW_SHARE of the kernel's connection table. */
const FLOW_SHARE = 8;
const DEFAULT_TRACKED = 65_536;

const CountersSchema = z.object({
  nftables: z.array(z.object({ counter: z.optional(z.object({ packets: z.int() })) })),
});

/**
 * Kernel settings of the namespace, applied before it has a link: no IPv6, no redirects, and forwarding for containers. `$1` is
 * the directory of the settings.
 */
const SETTINGS = `
for one in all default; do
  [ ! -e $1/ipv6 ] || echo 1 > $1/ipv6/conf/$one/disable_ipv6
  for name in accept_redirects send_redirects secure_redirects accept_source_route proxy_arp; do
    echo 0 > $1/ipv4/conf/$one/$name
  done
done
echo 1 > $1/ipv4/ip_forward
`;

export const routerName = (tag: string): string => `bulkhead-${tag}-router`;

/**
 * The router of one agent: a network namespace to which all containers are linked, and which filters their packets. It has its
 * own firewall, so changes to the host's firewall (a flush, Docker, firewalld) cannot weaken it.
 *
 * It outlives the agent, like the containers. One veth pair connects it to the host: `bhr<tag>` on the host, `host0` in the
 * namespace. Packets leave with the router's address, so the host needs no route to a container.
 */
export class Router {
  readonly #name: string;
  readonly #tag: string;
  readonly #address: string;
  readonly #allowPrivate: readonly string[];
  #flowLimit = DEFAULT_TRACKED / FLOW_SHARE;

  /**
   * @param address the router's address on the link to the host
   * @param allowPrivate private ranges that policies can open
   */
  constructor(tag: string, address: string, allowPrivate: readonly string[]) {
    this.#tag = tag;
    this.#name = routerName(tag);
    this.#address = address;
    this.#allowPrivate = allowPrivate;
  }

  get path(): string {
    return namedNamespace(this.#name);
  }
  /** The host's end of the link. */
  get hostDevice(): string {
    return `bhr${this.#tag}`;
  }
  get settings(): RouterSettings {
    return { address: this.#address, allowPrivate: this.#allowPrivate, flowLimit: this.#flowLimit };
  }

  /** Opens or creates the namespace. Its rules are applied before it has a link. */
  async prepare(): Promise<void> {
    this.#flowLimit = await readFlowLimit();
    if (!(await this.#exists())) await this.#makeNamespace();
    await this.nft(routerTable(this.settings));
    // The default route is created last, so it marks a complete uplink.
    const routes = await runCommand('ip', ['-n', this.#name, 'route', 'show', 'default']);
    if (!routes.stdout.includes(`dev ${UPLINK}`)) await this.#makeUplink();
  }

  /** Whether a container or a VM is linked to it. */
  async isUsed(): Promise<boolean> {
    const links = await runCommand('ip', ['-n', this.#name, '-brief', 'link']);
    const isOwn = (line: string) => line === '' || line.startsWith('lo ') || line.startsWith(`${UPLINK}@`);
    return links.code === 0 && !links.stdout.split('\n').every(isOwn);
  }

  /** Removes the namespace and all its links. */
  async remove(): Promise<void> {
    await runCommand('ip', ['link', 'delete', 'dev', this.hostDevice]);
    if (existsSync(this.path)) await runCommand('ip', ['netns', 'delete', this.#name]);
  }

  /** Runs `ip` commands in the namespace, one after another, until one fails. */
  async ip(commands: readonly string[]): Promise<void> {
    await runOrFail(NETWORK_FAILED, 'ip', ['-n', this.#name, '-batch', '-'], {
      input: `${commands.join('\n')}\n`,
    });
  }

  /** Applies an nft script in the namespace atomically. */
  async nft(script: string): Promise<void> {
    await runOrFail(NETWORK_FAILED, 'nsenter', this.inside('nft', '-f', '-'), { input: script });
  }

  /** The number of a container's packets that were dropped since it was connected. */
  async droppedPackets(endpoint: Endpoint): Promise<number> {
    const list = ['nft', '-j', 'list', 'counter', ...TABLE.split(' '), counterName(endpoint)];
    const text = await runOrFail('Dropped packets could not be counted', 'nsenter', this.inside(...list));
    const { nftables } = z.parse(CountersSchema, JSON.parse(text));
    return nftables.reduce((sum, { counter }) => sum + (counter?.packets ?? 0), 0);
  }

  /** The arguments of `nsenter` that run a command in the namespace. */
  inside(...command: string[]): string[] {
    return [`--net=${this.path}`, '--', ...command];
  }

  async #exists(): Promise<boolean> {
    return existsSync(this.path) && (await runCommand('ip', ['-n', this.#name, 'link'])).code === 0;
  }

  async #makeNamespace(): Promise<void> {
    if (existsSync(this.path)) await runCommand('ip', ['netns', 'delete', this.#name]);
    await runOrFail(NETWORK_FAILED, 'ip', ['netns', 'add', this.#name]);
    const shell = ['sh', '-euc', SETTINGS, 'sh', '/proc/sys/net'];
    await runOrFail(NETWORK_FAILED, 'nsenter', this.inside(...shell));
  }

  async #makeUplink(): Promise<void> {
    const address = this.#address;
    const device = this.hostDevice;
    // A host's end without this router's end belongs to a removed router.
    await runCommand('ip', ['link', 'delete', 'dev', device]);
    const made = `link add ${device} type veth peer name ${UPLINK} netns ${this.#name}\n`;
    await runOrFail(NETWORK_FAILED, 'ip', ['-batch', '-'], { input: made });
    const ipv6 = `/proc/sys/net/ipv6/conf/${device}/disable_ipv6`;
    if (existsSync(ipv6)) await writeFile(ipv6, '1');
    // Connections to a published port on 127.0.0.1 are routed through this link.
    await writeFile(`/proc/sys/net/ipv4/conf/${device}/route_localnet`, '1');
    const outside = [
      `address replace ${HOST_END}/32 dev ${device}`,
      `link set ${device} up`,
      `route replace ${address}/32 dev ${device} src ${HOST_END}`,
    ];
    await runOrFail(NETWORK_FAILED, 'ip', ['-batch', '-'], { input: `${outside.join('\n')}\n` });
    await this.ip([
      'link set lo up',
      `address replace ${GATEWAY}/32 dev lo`,
      `address replace ${address}/32 dev ${UPLINK}`,
      `link set ${UPLINK} up`,
      `route replace ${HOST_END} dev ${UPLINK}`,
      // Addresses without a container are unreachable.
      `route replace unreachable ${NETWORK_CIDR}`,
      `route replace default via ${HOST_END} dev ${UPLINK}`,
    ]);
  }
}

const readFlowLimit = async (): Promise<number> => {
  const text = await readFile('/proc/sys/net/netfilter/nf_conntrack_max', 'utf8').catch(() => '');
  return Math.floor((Number(text) || DEFAULT_TRACKED) / FLOW_SHARE);
};
