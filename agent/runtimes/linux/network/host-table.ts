import * as z from 'zod/mini';
import { messageOf, RuntimeError } from '../../../errors.ts';
import { runCommand, runOrFail } from '../run-command.ts';
import { NETWORK_CIDR } from './addresses.ts';
import type { Endpoint } from './endpoint.ts';
import { acceptCommands, type Ruleset, RulesetSchema, removeCommands } from './foreign-chains.ts';

type PublishedPort = Pick<Endpoint['ports'][number], 'hostPort' | 'protocol' | 'hostAddress'>;

const FAILED = 'The firewall of the host could not be changed';
/** The ends of the links to every agent's router on this machine. */
const ANY_ROUTER = '"bhr*"';
const PROTOCOLS = ['tcp', 'udp'] as const;
const ATTEMPTS = 3;
/** Ports that are reachable at every address of the host, or only from the host. */
const SCOPES = ['published', 'loopback'] as const;
type Scope = (typeof SCOPES)[number];
const SETS = SCOPES.flatMap((scope) => PROTOCOLS.map((protocol) => `${scope}_${protocol}`));
const setOf = ({ protocol, hostAddress }: PublishedPort): string =>
  `${hostAddress === undefined ? 'published' : 'loopback'}_${protocol}`;

/**
 * The firewall rules on the host: NAT for outgoing connections, published ports for incoming connections, and a second barrier
 * for the host's addresses. If they are missing, containers have no network, but gain no access. The table is always applied as
 * a whole, so it does not matter if another program has flushed it.
 */
export class HostTable {
  readonly #table: string;
  readonly #device: string;
  readonly #router: string;
  readonly #comment: string;
  readonly #published: ReadonlyMap<string, Set<number>> = new Map(SETS.map((name) => [name, new Set()]));
  /** The kernel's listing of the table; null before it has been applied. */
  #listed: string | null = null;
  /** The last change or check. They run one at a time. */
  #last: Promise<unknown> = Promise.resolve();

  /**
   * @param device the host's end of the link to the router
   * @param router the router's address on that link
   */
  constructor(tag: string, device: string, router: string) {
    this.#table = `ip bulkhead_${tag}`;
    this.#device = device;
    this.#router = router;
    this.#comment = `bulkhead ${tag}`;
  }

  /** @throws {RuntimeError} if this machine does not support it, so that the host fails at its start */
  async prepare(published: readonly PublishedPort[]): Promise<void> {
    for (const port of published) this.#published.get(setOf(port))?.add(port.hostPort);
    await this.#inTurn(() => this.#apply()).catch((error: unknown) => {
      throw new RuntimeError(
        'step-failed',
        `This machine does not support networks for containers: ${messageOf(error).split('\n')[0]}`,
        { suggestion: 'Give the agent CAP_NET_ADMIN, and use a kernel with nf_tables and NAT.' },
      );
    });
  }

  /** Removes the table and the rules in other programs' chains. */
  async remove(): Promise<void> {
    await this.#inTurn(async () => {
      await runCommand('nft', ['delete', 'table', ...this.#table.split(' ')]);
      await runScript(removeCommands(await readRuleset(), this.#comment));
    });
  }

  async publish(action: 'add' | 'delete', ports: readonly PublishedPort[]): Promise<void> {
    if (ports.length === 0) return;
    await this.#inTurn(() => {
      for (const port of ports) this.#published.get(setOf(port))?.[action](port.hostPort);
      return this.#apply();
    });
  }

  /**
   * Checks that all rules exist, and restores missing ones.
   * @returns whether any was missing
   */
  keep(): Promise<boolean> {
    return this.#inTurn(async () => {
      const isIntact = this.#listed !== null && (await this.#list()) === this.#listed;
      if (!isIntact) await this.#apply();
      const missing = acceptCommands(await readRuleset(), this.#device, this.#comment);
      await runScript(missing);
      return !isIntact || missing.length > 0;
    });
  }

  /** Retries, because nft can fail if other programs change the ruleset at the same time. */
  async #apply(): Promise<void> {
    const rules = this.#rules();
    for (let attempt = 1; ; attempt += 1)
      try {
        await runScript(rules);
        break;
      } catch (error) {
        if (attempt === ATTEMPTS) throw error;
      }
    this.#listed = await this.#list();
  }

  async #list(): Promise<string> {
    return (await runCommand('nft', ['-s', 'list', 'table', ...this.#table.split(' ')])).stdout;
  }

  #inTurn<T>(use: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(use, use);
    this.#last = turn.catch(() => {});
    return turn;
  }

  #rules(): string[] {
    const table = this.#table;
    return [
      `add table ${table}`,
      ...[...this.#published].flatMap(([name, ports]) => [
        `add set ${table} ${name} { type inet_service; }`,
        `flush set ${table} ${name}`,
        ...[...ports].map((port) => `add element ${table} ${name} { ${port} }`),
      ]),
      ...hostChains(this.#device, this.#router).flatMap(([name, hook, rules]) => [
        `add chain ${table} ${name} { ${hook} }`,
        `flush chain ${table} ${name}`,
        ...rules.map((rule) => `add rule ${table} ${name} ${rule}`),
      ]),
    ];
  }
}

const runScript = async (commands: readonly string[]): Promise<void> => {
  if (commands.length > 0) await runOrFail(FAILED, 'nft', ['-f', '-'], { input: `${commands.join('\n')}\n` });
};

const readRuleset = async (): Promise<Ruleset> =>
  z.parse(RulesetSchema, JSON.parse(await runOrFail(FAILED, 'nft', ['-j', 'list', 'ruleset'])));

const toRouter = (match: string, scope: Scope, router: string): string[] =>
  PROTOCOLS.map((protocol) => `${match} ${protocol} dport @${scope}_${protocol} dnat to ${router}`);
const LOCAL = 'fib daddr type local';

type ChainRules = readonly [name: string, hook: string, rules: readonly string[]];

const hostChains = (device: string, router: string): readonly ChainRules[] => {
  const [fromRouter, toLink] = [`iifname "${device}"`, `oifname "${device}"`];
  return [
    [
      'early',
      'type filter hook prerouting priority raw; policy accept;',
      [
        `${fromRouter} ip saddr != ${router} drop`,
        `${fromRouter} ip daddr { 127.0.0.0/8, 169.254.0.0/16 } drop`,
      ],
    ],
    [
      'inbound',
      'type nat hook prerouting priority dstnat; policy accept;',
      toRouter(`iifname != ${ANY_ROUTER} ${LOCAL}`, 'published', router),
    ],
    [
      'local',
      'type nat hook output priority -100; policy accept;',
      [...toRouter(LOCAL, 'published', router), ...toRouter('ip daddr 127.0.0.0/8', 'loopback', router)],
    ],
    [
      'input',
      'type filter hook input priority filter; policy accept;',
      [`${fromRouter} ct state != { established, related } drop`],
    ],
    [
      'forward',
      'type filter hook forward priority filter; policy accept;',
      [
        `${fromRouter} oifname ${ANY_ROUTER} drop`,
        `${fromRouter} ip daddr ${NETWORK_CIDR} drop`,
        `${toLink} ct state established,related accept`,
        `${toLink} ct status dnat accept`,
        `${toLink} drop`,
      ],
    ],
    [
      'outbound',
      'type nat hook postrouting priority srcnat; policy accept;',
      [
        `ip saddr ${router} oifname != "${device}" masquerade`,
        `ip saddr 127.0.0.0/8 oifname "${device}" masquerade`,
      ],
    ],
  ];
};
