import { RuntimeError } from '../../../errors.ts';
import { runCommand, runOrFail } from '../run-command.ts';
import { NETWORK_CIDR } from './addresses.ts';
import type { Endpoint } from './endpoint.ts';

type PublishedPort = Pick<Endpoint['ports'][number], 'hostPort' | 'protocol'>;

/** The ends of the links to every agent's router on this machine. */
const ANY_ROUTER = '"bhr*"';

/**
 * The host's own part of the network: address translation on the way out, published ports on the way in, and a second
 * lock on the host's own addresses. Without it containers have no network, and reach no more than with it.
 */
export class HostTable {
  readonly #table: string;
  readonly #device: string;
  readonly #router: string;

  /**
   * @param device the host's end of the link to the router
   * @param router the router's address on it
   */
  constructor(tag: string, device: string, router: string) {
    this.#table = `ip bulkhead_${tag}`;
    this.#device = device;
    this.#router = router;
  }

  /** @throws {RuntimeError} where the machine does not allow it: at the host's start, not at a container's */
  async prepare(): Promise<void> {
    const outcome = await runCommand('nft', ['-f', '-'], { input: this.#rules() }).catch((error: Error) => ({
      code: 1,
      stderr: error.message,
    }));
    if (outcome.code !== 0)
      throw new RuntimeError(
        'step-failed',
        `This machine does not allow containers a network: ${outcome.stderr.trim().split('\n')[0]}`,
        { suggestion: 'The agent needs CAP_NET_ADMIN and the kernel’s nf_tables with NAT.' },
      );
  }

  async remove(): Promise<void> {
    await runCommand('nft', ['delete', 'table', ...this.#table.split(' ')]);
  }

  async publish(action: 'add' | 'delete', ports: readonly PublishedPort[]): Promise<void> {
    if (ports.length === 0) return;
    const lines = ports.map(
      ({ hostPort, protocol }) => `${action} element ${this.#table} published_${protocol} { ${hostPort} }`,
    );
    await runOrFail('The ports could not be published', 'nft', ['-f', '-'], {
      input: `${lines.join('\n')}\n`,
    });
  }

  /** Adding what is there changes nothing, and the chains are replaced whole: it may be applied at every start. */
  #rules(): string {
    const table = this.#table;
    const router = this.#router;
    const ours = `"${this.#device}"`;
    const chains: readonly (readonly [string, string, readonly string[]])[] = [
      [
        'early',
        'type filter hook prerouting priority raw; policy accept;',
        [
          `iifname ${ours} ip saddr != ${router} drop`,
          `iifname ${ours} ip daddr { 127.0.0.0/8, 169.254.0.0/16 } drop`,
        ],
      ],
      [
        'inbound',
        'type nat hook prerouting priority dstnat; policy accept;',
        [
          `iifname != ${ANY_ROUTER} fib daddr type local tcp dport @published_tcp dnat to ${router}`,
          `iifname != ${ANY_ROUTER} fib daddr type local udp dport @published_udp dnat to ${router}`,
        ],
      ],
      [
        'local',
        'type nat hook output priority -100; policy accept;',
        [
          `fib daddr type local tcp dport @published_tcp dnat to ${router}`,
          `fib daddr type local udp dport @published_udp dnat to ${router}`,
        ],
      ],
      [
        'input',
        'type filter hook input priority filter; policy accept;',
        [`iifname ${ours} ct state != { established, related } drop`],
      ],
      [
        'forward',
        'type filter hook forward priority filter; policy accept;',
        [`iifname ${ours} oifname ${ANY_ROUTER} drop`, `iifname ${ours} ip daddr ${NETWORK_CIDR} drop`],
      ],
      [
        'outbound',
        'type nat hook postrouting priority srcnat; policy accept;',
        [
          `ip saddr ${router} oifname != ${ours} masquerade`,
          `ip saddr 127.0.0.0/8 oifname ${ours} masquerade`,
        ],
      ],
    ];
    return [
      `add table ${table}`,
      `add set ${table} published_tcp { type inet_service; }`,
      `add set ${table} published_udp { type inet_service; }`,
      ...chains.flatMap(([name, hook, rules]) => [
        `add chain ${table} ${name} { ${hook} }`,
        `flush chain ${table} ${name}`,
        ...rules.map((rule) => `add rule ${table} ${name} ${rule}`),
      ]),
      '',
    ].join('\n');
  }
}
