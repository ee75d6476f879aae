import { parseCidr } from '../../../../core/contract/ip-address.ts';
import { METADATA_ADDRESSES, NON_PUBLIC_CIDRS } from '../../../../core/network/address-ranges.ts';
import { GATEWAY } from './addresses.ts';

export const TABLE = 'inet bulkhead';
/** The router's end of the link to the host. All other links belong to containers. */
export const UPLINK = 'host0';

export const ipv4Only = (cidrs: readonly string[]): string[] =>
  cidrs.filter((cidr) => parseCidr(cidr)?.family === 4);

const elements = (cidrs: readonly string[]): string => {
  const own = ipv4Only(cidrs);
  return own.length === 0 ? '' : `elements = { ${own.join(', ')} }; `;
};
const ranges = (name: string, cidrs: readonly string[]): string =>
  `add set ${TABLE} ${name} { type ipv4_addr; flags interval; auto-merge; }
flush set ${TABLE} ${name}
add set ${TABLE} ${name} { type ipv4_addr; flags interval; auto-merge; ${elements(cidrs)}}
`;

export interface RouterSettings {
  /** The router's own address on the link to the host. */
  readonly address: string;
  /** Private ranges that `allow` rules can open. */
  readonly allowPrivate: readonly string[];
  /** Maximum number of open connections per container. */
  readonly flowLimit: number;
}

/** The old name of `first`. It was replaced because a chain's priority cannot change, and a router can be older than its agent. */
const REPLACED = 'early';

/** Matches a packet that would exceed the container's share of the connection table. */
export const beyondFlows = (flowLimit: number): string =>
  `ct state new add @flows { ip saddr ct count over ${flowLimit} }`;
/** Limit for a container's packets to the resolver; more than its share of queries needs. */
const ASKED = '2000/second burst 2000 packets';

/** The base chains, which do not depend on containers. */
const chainsFor = (
  flowLimit: number,
): readonly (readonly [name: string, hook: string, rules: readonly string[]])[] => [
  [
    // The chain of a link accepts only the link's IP and MAC address. It runs before connection tracking reassembles
    // fragments (-400), so that fragments from two links are never combined.
    'first',
    'type filter hook prerouting priority -450; policy drop;',
    ['meta nfproto ipv6 drop', `iifname { "lo", "${UPLINK}" } accept`, 'iifname vmap @sources'],
  ],
  [
    'inbound',
    'type nat hook prerouting priority dstnat; policy accept;',
    [
      `iifname "${UPLINK}" ip daddr @own dnat ip to tcp dport map @published_tcp`,
      `iifname "${UPLINK}" ip daddr @own dnat ip to udp dport map @published_udp`,
    ],
  ],
  [
    // The router itself offers only its resolver and replies to ping, at the gateway's address.
    'input',
    'type filter hook input priority filter; policy drop;',
    [
      'iifname "lo" accept',
      `iifname "${UPLINK}" drop`,
      `${beyondFlows(flowLimit)} drop`,
      `meta l4proto { tcp, udp } th dport 53 update @asked { ip saddr limit rate over ${ASKED} } counter drop`,
      `ip daddr ${GATEWAY} meta l4proto { tcp, udp } th dport 53 accept`,
      `ip daddr ${GATEWAY} icmp type echo-request accept`,
    ],
  ],
  [
    'forward',
    'type filter hook forward priority filter; policy drop;',
    [`iifname "${UPLINK}" oifname vmap @to`, `iifname != "${UPLINK}" iifname vmap @from`],
  ],
  [
    'outbound',
    'type nat hook postrouting priority srcnat; policy accept;',
    [`oifname "${UPLINK}" masquerade`],
  ],
];

/**
 * The table of a router namespace. It can be applied again: one transaction replaces the base chains and keeps the
 * rules of containers.
 *
 * The verdict maps have an element for each link with rules: `sources` for the source addresses of its packets, `from` and `to`
 * for the two directions. A link without an element can neither send nor receive.
 */
export const routerTable = ({ address, allowPrivate, flowLimit }: RouterSettings): string => {
  const base = chainsFor(flowLimit);
  const chains = base.map(
    ([name, hook]) => `add chain ${TABLE} ${name} { ${hook} }\nflush chain ${TABLE} ${name}\n`,
  );
  const rules = base.flatMap(([name, , lines]) => lines.map((line) => `add rule ${TABLE} ${name} ${line}\n`));
  return `add table ${TABLE}
add chain ${TABLE} ${REPLACED}
flush chain ${TABLE} ${REPLACED}
delete chain ${TABLE} ${REPLACED}
${ranges('metadata', METADATA_ADDRESSES)}${ranges(
  'non_public',
  NON_PUBLIC_CIDRS,
)}${ranges('ceiling', allowPrivate)}${ranges('own', [`${address}/32`])}\
add set ${TABLE} host_addresses { type ipv4_addr; flags interval; auto-merge; }
add set ${TABLE} peers { type ipv4_addr; }
add set ${TABLE} flows { type ipv4_addr; size 65535; flags dynamic; }
add set ${TABLE} asked { type ipv4_addr; size 65535; flags dynamic,timeout; timeout 10s; }
add map ${TABLE} sources { type ifname : verdict; }
add map ${TABLE} from { type ifname : verdict; }
add map ${TABLE} to { type ifname : verdict; }
add map ${TABLE} published_tcp { type inet_service : ipv4_addr . inet_service; }
add map ${TABLE} published_udp { type inet_service : ipv4_addr . inet_service; }
${chains.join('')}${rules.join('')}\
add table arp bulkhead
add set arp bulkhead senders { type ifname . ipv4_addr . ether_addr; }
add chain arp bulkhead input { type filter hook input priority filter; policy drop; }
flush chain arp bulkhead input
add rule arp bulkhead input iifname "${UPLINK}" accept
add rule arp bulkhead input iifname . arp saddr ip . arp saddr ether @senders arp daddr ip ${GATEWAY} accept
`;
};

/** Replaces the set of the host's own addresses. */
export const hostAddresses = (cidrs: readonly string[]): string => {
  const own = ipv4Only(cidrs);
  const add = own.length === 0 ? '' : `add element ${TABLE} host_addresses { ${own.join(', ')} }\n`;
  return `flush set ${TABLE} host_addresses\n${add}`;
};
