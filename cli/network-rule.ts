import { type NetworkRule, NetworkRuleSchema } from '../core/contract/network.ts';

/**
 * A rule of a network policy on one line: `DESTINATION[:PORTS][/tcp|udp]`.
 *
 * The destination is an address, a CIDR range or a domain name. An IPv6 destination needs brackets before ports, because
 * it contains colons; without ports brackets are optional. Ports are separated by commas, ranges are FROM-TO.
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
  // Two or more colons mean an IPv6 destination without ports.
  return more.length > 0 ? { destination: text } : { destination: before, ports };
};

/** A port as a number, or any other text unchanged: the contract validates it. */
const portOf = (text: string): number | string => (/^\d+$/.test(text) ? Number(text) : text);

const isCidr = (destination: string): boolean => /[:/]/.test(destination) || /^[\d.]+$/.test(destination);

/** Parses a rule. @returns the rule, or the error */
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
  if (issue?.path[0] === 'ports') return 'Use ports from 1 to 65535, as in :443 or :80,8000-8100.';
  return issue?.message ?? `Must have the form ${RULE_SYNTAX}.`;
};

/** The text of a rule, which {@link parseRule} parses. */
export const formatRule = ({ cidr, domain, ports, protocol }: NetworkRule): string => {
  const destination = domain ?? cidr ?? '';
  const bracketed = ports !== undefined && destination.includes(':') ? `[${destination}]` : destination;
  const portText = ports === undefined ? '' : `:${ports.join(',')}`;
  return `${bracketed}${portText}${protocol === undefined ? '' : `/${protocol}`}`;
};
