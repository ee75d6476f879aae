import * as z from 'zod/mini';
import { parseCidr } from './ip-address.ts';
import { described, PortNumberSchema } from './primitives.ts';

/**
 * What a container can reach. core/network/network-policy.ts has the precedence, docs/network.md the user documentation.
 */
const NETWORK_LIMITS = {
  rules: 64,
  portsPerRule: 32,
  /** Maximum length of a policy as JSON: with the rest of the container it must fit into one message to a host. */
  characters: 16 * 1024,
} as const;

/** The error in a CIDR range, with the canonical form; null if it is canonical. */
const cidrProblem = (text: string): string | null => {
  const parsed = parseCidr(text);
  if (parsed === null) return 'Must be an address or a CIDR range, such as 192.0.2.0/24 or 2001:db8::/32.';
  return parsed.text === text ? null : `Use ${parsed.text}.`;
};

/** Maximum length of an IPv6 range as text. */
const CIDR_LENGTH = 49;

export const CidrSchema = described(
  z.string().check(
    z.maxLength(CIDR_LENGTH, { abort: true }),
    z.check<string>(({ value, issues }) => {
      const message = cidrProblem(value);
      if (message !== null) issues.push({ code: 'custom', input: value, message, continue: true });
    }),
  ),
  'An IPv4 or IPv6 address or CIDR range, in canonical form: host bits zero, IPv6 compressed and in lower case.',
);

const DOMAIN_PATTERN =
  /^(?=.{1,253}$)(\*\.)?([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;
const ALL_DIGITS_LAST = /(^|\.)[0-9]+$/;

const DomainSchema = described(
  z.string().check(
    z.maxLength(253, { abort: true }),
    z.refine(
      (text) => DOMAIN_PATTERN.test(text) && !ALL_DIGITS_LAST.test(text),
      'Must be a domain name in lower-case ASCII without a final dot, such as example.com or *.example.com.',
    ),
  ),
  'A domain name in lower-case ASCII, without a final dot. "*.example.com" matches every name below example.com, but not example.com itself.',
);

const PORT_RANGE_PATTERN = /^([1-9][0-9]{0,4})-([1-9][0-9]{0,4})$/;

/** "8000-8100" as its two ends, or null. */
export const parsePortRange = (text: string): readonly [number, number] | null => {
  const [, from, to] = PORT_RANGE_PATTERN.exec(text) ?? [];
  const range = [Number(from), Number(to)] as const;
  return from !== undefined && range[0] <= range[1] && range[1] <= 65_535 ? range : null;
};

const PortRangeSchema = z.string().check(
  z.maxLength(11, { abort: true }),
  z.refine((text) => parsePortRange(text) !== null, 'Must be a range such as "8000-8100".'),
);

const NetworkPortSchema = described(
  z.union([PortNumberSchema, PortRangeSchema], 'Must be a port or a range such as "8000-8100".'),
  'A port, or a range such as "8000-8100".',
);

export const NetworkRuleSchema = described(
  z
    .strictObject({
      cidr: z.optional(CidrSchema),
      domain: z.optional(DomainSchema),
      ports: z.optional(
        z.array(NetworkPortSchema).check(z.minLength(1), z.maxLength(NETWORK_LIMITS.portsPerRule)),
      ),
      protocol: z.optional(z.enum(['tcp', 'udp'])),
    })
    .check(
      z.refine(
        ({ cidr, domain }) => (cidr === undefined) !== (domain === undefined),
        'Must have exactly one of cidr and domain.',
      ),
    ),
  'Exactly one of `cidr` and `domain`. Without `ports`: every port. Without `protocol`: every protocol, or TCP and UDP if there are ports.',
);
export type NetworkRule = z.infer<typeof NetworkRuleSchema>;

const RulesSchema = z.array(NetworkRuleSchema).check(z.maxLength(NETWORK_LIMITS.rules));

export const EgressDefaultSchema = z.enum(['allow', 'deny']);
export const PeersSchema = z.enum(['none', 'switch']);

/** As in a request. */
export const NetworkPolicySchema = z
  .strictObject({
    egress: z.optional(
      z.strictObject({
        /** `allow`: public addresses. */
        default: z.optional(EgressDefaultSchema),
        allow: z.optional(RulesSchema),
        deny: z.optional(RulesSchema),
      }),
    ),
    /** `switch`: containers of the same tenant on the same switch. */
    peers: z.optional(PeersSchema),
  })
  .check(
    z.refine(
      (policy) => JSON.stringify(policy).length <= NETWORK_LIMITS.characters,
      `Must be at most ${NETWORK_LIMITS.characters} characters as JSON. Use fewer or wider rules.`,
    ),
  );
export type NetworkPolicy = z.infer<typeof NetworkPolicySchema>;

/** With every default filled in. */
export const ResolvedNetworkPolicySchema = z.strictObject({
  egress: z.strictObject({ default: EgressDefaultSchema, allow: RulesSchema, deny: RulesSchema }),
  peers: PeersSchema,
});
export type ResolvedNetworkPolicy = z.infer<typeof ResolvedNetworkPolicySchema>;

/** Egress to public addresses, and nothing else. */
export const DEFAULT_NETWORK_POLICY: ResolvedNetworkPolicy = {
  egress: { default: 'allow', allow: [], deny: [] },
  peers: 'none',
};

/** The policy of a container without one. */
export const DEFAULT_NETWORK = { network: DEFAULT_NETWORK_POLICY, networkRevision: 0 } as const;

export const resolveNetworkPolicy = ({ egress, peers }: NetworkPolicy = {}): ResolvedNetworkPolicy => ({
  egress: { default: egress?.default ?? 'allow', allow: egress?.allow ?? [], deny: egress?.deny ?? [] },
  peers: peers ?? 'none',
});

/** The policy in force for a running container, as measured by its host. */
export const NetworkReportSchema = z.strictObject({
  policy: ResolvedNetworkPolicySchema,
  /** Private ranges that the host's operator allows policies to open. */
  ceiling: z.array(CidrSchema),
  /** Number of packets of the container that the policy has dropped since its start. */
  dropped: z.strictObject({ packets: z.int() }),
});
export type NetworkReport = z.infer<typeof NetworkReportSchema>;
