import {
  contains,
  covers,
  type IpAddress,
  type ParsedCidr,
  parseAddress,
  parseCidr,
} from '../contract/ip-address.ts';
import { type NetworkRule, parsePortRange, type ResolvedNetworkPolicy } from '../contract/network.ts';
import { METADATA_ADDRESSES, NON_PUBLIC_CIDRS, NON_PUBLIC_RANGES } from './address-ranges.ts';

/**
 * What a container can reach, as an ordered list of steps: the first step that matches a packet decides. A host translates
 * the steps into its own rules; {@link decide} evaluates them. The order is
 *
 *   metadata → the host's own addresses → non-public ranges outside the ceiling → deny → allow → default
 *
 * - Metadata addresses and the host's own addresses are never reachable, regardless of policy and ceiling.
 * - A private range is reachable only if both the operator's ceiling and an `allow` rule by `cidr` open it. A rule by domain
 *   never opens a private address, so that the owner of a domain cannot open one by a DNS record.
 * - The default `allow` applies to public addresses.
 *
 * Not decided here: `peers`, which controls access among containers of the same tenant on the same switch; and the
 * resolver and the gateway of the switch, which the host provides.
 */
const REASONS = ['metadata', 'host', 'ceiling', 'deny', 'allow', 'default'] as const;
export type Reason = (typeof REASONS)[number];

/** Addresses of a host. */
export interface Ceiling {
  /** Ranges that `allow` rules can open. */
  readonly allowPrivate: readonly string[];
  /** The host's own addresses on every interface, and the ranges of its switches. */
  readonly own: readonly string[];
}

export type PortRange = readonly [from: number, to: number];

export interface PolicyStep {
  readonly verdict: 'allow' | 'deny';
  readonly why: Reason;
  /** Matches addresses in any of these CIDR ranges, which can overlap; null: every address. */
  readonly within: readonly string[] | null;
  /** Does not match addresses in these CIDR ranges. */
  readonly except: readonly string[];
  /** Matches addresses that this name resolved to for this container. */
  readonly domain?: string;
  readonly protocols?: readonly ('tcp' | 'udp')[];
  readonly ports?: readonly PortRange[];
}

const toPortRange = (port: number | string): PortRange => {
  const single = Number(port);
  return (typeof port === 'string' ? parsePortRange(port) : null) ?? [single, single];
};

const ruleStep = (verdict: 'allow' | 'deny', { cidr, domain, ports, protocol }: NetworkRule): PolicyStep => ({
  verdict,
  why: verdict,
  within: cidr === undefined ? null : [cidr],
  except: verdict === 'allow' && domain !== undefined ? NON_PUBLIC_CIDRS : [],
  ...(domain !== undefined && { domain }),
  ...(protocol !== undefined ? { protocols: [protocol] } : ports && { protocols: ['tcp', 'udp'] }),
  ...(ports && { ports: ports.map(toPortRange) }),
});

/** The steps in order. The last one matches everything. */
export const policySteps = ({ egress }: ResolvedNetworkPolicy, ceiling: Ceiling): readonly PolicyStep[] => [
  { verdict: 'deny', why: 'metadata', within: METADATA_ADDRESSES, except: [] },
  { verdict: 'deny', why: 'host', within: ceiling.own, except: [] },
  { verdict: 'deny', why: 'ceiling', within: NON_PUBLIC_CIDRS, except: ceiling.allowPrivate },
  ...egress.deny.map((rule) => ruleStep('deny', rule)),
  ...egress.allow.map((rule) => ruleStep('allow', rule)),
  ...(egress.default === 'allow'
    ? [{ verdict: 'allow', why: 'default', within: null, except: NON_PUBLIC_CIDRS } as const]
    : []),
  { verdict: 'deny', why: 'default', within: null, except: [] },
];

export interface Destination {
  readonly address: string;
  /** The IP protocol: "tcp", "udp", "icmp" and so on. */
  readonly protocol: string;
  /** Null for protocols without ports. */
  readonly port: number | null;
  /** Names that resolved to the address for this container and have not expired. */
  readonly names?: readonly string[];
}

interface Decision {
  readonly allowed: boolean;
  readonly why: Reason;
}

/** Whether a rule's domain matches `name`. "*.example.com" matches any name below example.com. */
export const matchesDomain = (pattern: string, name: string): boolean => {
  const given = name.toLowerCase().replace(/\.$/, '');
  return pattern.startsWith('*.')
    ? given.length > pattern.length - 1 && given.endsWith(pattern.slice(1))
    : given === pattern;
};

const inAny = (ranges: readonly string[], address: IpAddress): boolean =>
  ranges.some((text) => {
    const range = parseCidr(text);
    return range !== null && contains(range, address);
  });

const matches = (step: PolicyStep, address: IpAddress, { protocol, port, names }: Destination): boolean =>
  (step.within === null || inAny(step.within, address)) &&
  !inAny(step.except, address) &&
  (step.domain === undefined || (names ?? []).some((name) => matchesDomain(step.domain ?? '', name))) &&
  (step.protocols === undefined || (step.protocols as readonly string[]).includes(protocol)) &&
  (step.ports === undefined ||
    (port !== null && step.ports.some(([from, to]) => from <= port && port <= to)));

/** The decision for one destination under a host's ceiling. An invalid address is denied. */
export const decide = (
  policy: ResolvedNetworkPolicy,
  ceiling: Ceiling,
  destination: Destination,
): Decision => {
  const address = parseAddress(destination.address);
  const step =
    address === null
      ? undefined
      : policySteps(policy, ceiling).find((one) => matches(one, address, destination));
  return { allowed: step?.verdict === 'allow', why: step?.why ?? 'default' };
};

type CeilingRange =
  | { readonly kind: 'range'; readonly text: string }
  | { readonly kind: 'refused'; readonly why: string };

const OPENABLE = NON_PUBLIC_RANGES.filter(({ openable }) => openable).map(({ cidr }) => cidr);

/** A range of `--allow-private` in canonical form, or the reason why an operator cannot open it. */
export const readCeilingRange = (given: string): CeilingRange => {
  const range = parseCidr(given);
  if (range === null)
    return { kind: 'refused', why: 'Use a CIDR range such as 10.20.0.0/16 or fd12:3456::/32.' };
  const isWithin = (outer: ParsedCidr | null) =>
    outer !== null && outer.family === range.family && covers(outer, range);
  return OPENABLE.some((outer) => isWithin(parseCidr(outer)))
    ? { kind: 'range', text: range.text }
    : { kind: 'refused', why: `Use a range within ${OPENABLE.join(', ')}.` };
};
