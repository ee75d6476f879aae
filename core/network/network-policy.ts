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
 * What a container may reach, as an ordered list of steps: the first step that matches a packet decides. A host turns
 * the steps into its own rules; {@link decide} walks them. The order is
 *
 *   metadata → the host's own addresses → non-public ranges outside the ceiling → deny → allow → default
 *
 * - Metadata addresses and the host's own addresses are never reached, whatever the policy and the ceiling say.
 * - A private range is reached only where both the operator's ceiling and an `allow` rule by `cidr` open it. A rule by
 *   domain never opens a private address: who controls a name does not control where containers connect to.
 * - The default `allow` is for public addresses.
 *
 * Not decided here: `peers`, which alone governs containers of the same tenant on the same switch; and the resolver and
 * the gateway of the switch, which the host provides.
 */
const REASONS = ['metadata', 'host', 'ceiling', 'deny', 'allow', 'default'] as const;
export type Reason = (typeof REASONS)[number];

/** What a host says of itself. */
export interface Ceiling {
  /** Ranges that `allow` rules may open. */
  readonly allowPrivate: readonly string[];
  /** The host's own addresses on every interface, and the ranges of its switches. */
  readonly own: readonly string[];
}

export type PortRange = readonly [from: number, to: number];

export interface PolicyStep {
  readonly verdict: 'allow' | 'deny';
  readonly why: Reason;
  /** CIDR ranges of which one has the address; null: every address. Ranges may overlap. */
  readonly within: readonly string[] | null;
  /** CIDR ranges of which none has the address. */
  readonly except: readonly string[];
  /** The address is one that this name resolved to for this container. */
  readonly domain?: string;
  readonly protocols?: readonly ('tcp' | 'udp')[];
  readonly ports?: readonly PortRange[];
}

const toPortRange = (port: number | string): PortRange =>
  typeof port === 'number'
    ? [port, port]
    : (parsePortRange(port) ?? ([port, port].map(Number) as unknown as PortRange));

const ruleStep = (verdict: 'allow' | 'deny', { cidr, domain, ports, protocol }: NetworkRule): PolicyStep => ({
  verdict,
  why: verdict,
  within: cidr === undefined ? null : [cidr],
  except: verdict === 'allow' && domain !== undefined ? NON_PUBLIC_CIDRS : [],
  ...(domain !== undefined && { domain }),
  ...(protocol !== undefined ? { protocols: [protocol] } : ports && { protocols: ['tcp', 'udp'] }),
  ...(ports && { ports: ports.map(toPortRange) }),
});

/** The steps in their order. The last one matches everything that is left. */
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
  /** As IP names it: "tcp", "udp", "icmp" and so on. */
  readonly protocol: string;
  /** Null for protocols without ports. */
  readonly port: number | null;
  /** Names that resolved to the address for this container and whose time to live has not passed. */
  readonly names?: readonly string[];
}

interface Decision {
  readonly allowed: boolean;
  readonly why: Reason;
}

/** Whether `pattern`, a domain of a rule, stands for `name`. "*.example.com" is any name below example.com. */
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

/** What the policy says of one destination under a host's ceiling. What is no address is denied. */
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

/** A range of `--allow-private` in canonical form, or why it is none that an operator may open. */
export const readCeilingRange = (given: string): CeilingRange => {
  const range = parseCidr(given);
  if (range === null)
    return { kind: 'refused', why: 'Give a CIDR range such as 10.20.0.0/16 or fd12:3456::/32.' };
  const isWithin = (outer: ParsedCidr | null) =>
    outer !== null && outer.family === range.family && covers(outer, range);
  return OPENABLE.some((outer) => isWithin(parseCidr(outer)))
    ? { kind: 'range', text: range.text }
    : { kind: 'refused', why: `Give a range within ${OPENABLE.join(', ')}.` };
};
