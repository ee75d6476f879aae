import { type NetworkRule, NetworkRuleSchema } from '../core/contract/network.ts';

/**
 * A rule of a network policy on one line: `DESTINATION[:PORTS][/tcp|udp]`.
 *
 * The destination is an address, a CIDR range or a domain name. An IPv6 destination stands in brackets where ports
 * follow, because it has colons of its own; without ports it may. Ports are separated by commas, ranges are FROM-TO.
 */
export const RULE_SYNTAX = 'DESTINATION[:PORTS][/tcp|udp]';

const PROTOCOL = /\/(tcp|udp)$/;
const BRACKETED = /^\[([^\]]*)\](?::(.*))?$/;

interface Parts {
  readonly destination: string;
  readonly ports?: string | undefined;
}

const partsOf = (text: string): Parts => {
  const [, inside, afterBrackets] = BRACKETED.exec(text) ?? [];
  if (inside !== undefined) return { destination: inside, ports: afterBrackets };
  const [before = '', ports, ...more] = text.split(':');
  // Two colons or more: an IPv6 destination, and all of it.
  return more.length > 0 ? { destination: text } : { destination: before, ports };
};

/** A port as a number where it is one; what is neither port nor range is left for the contract to refuse. */
const portOf = (text: string): number | string => (/^\d+$/.test(text) ? Number(text) : text);

const isCidr = (destination: string): boolean => /[:/]/.test(destination) || /^[\d.]+$/.test(destination);

/** Reads a rule. @returns the rule, or what is wrong with it */
export const parseRule = (text: string): NetworkRule | string => {
  const protocol = PROTOCOL.exec(text)?.[1] as NetworkRule['protocol'];
  const { destination, ports } = partsOf(text.replace(PROTOCOL, ''));
  const parsed = NetworkRuleSchema.safeParse({
    ...(isCidr(destination) ? { cidr: destination } : { domain: destination.toLowerCase() }),
    ...(ports !== undefined && { ports: ports.split(',').map(portOf) }),
    ...(protocol !== undefined && { protocol }),
  });
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  if (issue?.path[0] === 'ports') return 'Give ports from 1 to 65535 as in :443 or :80,8000-8100.';
  return issue?.message ?? `Give it as ${RULE_SYNTAX}.`;
};

/** The text that {@link parseRule} reads as the rule. */
export const formatRule = ({ cidr, domain, ports, protocol }: NetworkRule): string => {
  const destination = domain ?? cidr ?? '';
  const bracketed = ports !== undefined && destination.includes(':') ? `[${destination}]` : destination;
  const portText = ports === undefined ? '' : `:${ports.join(',')}`;
  return `${bracketed}${portText}${protocol === undefined ? '' : `/${protocol}`}`;
};
