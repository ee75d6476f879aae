import * as z from 'zod/mini';

/**
 * Firewalls of other programs on the host: iptables, Docker, firewalld, ufw. An accept in one base chain does not override a
 * drop in another. A chain that drops all packets without an accept rule (FORWARD with the policy drop, or a final `reject`)
 * would therefore block containers. In such a chain an accept rule for the router's link is added directly before the final
 * drop, so that an operator's rules for specific packets still apply first.
 */
const RuleSchema = z.looseObject({
  family: z.string(),
  table: z.string(),
  chain: z.string(),
  handle: z.int(),
  comment: z.optional(z.string()),
  expr: z.optional(z.array(z.record(z.string(), z.unknown()))),
});
const ChainSchema = z.looseObject({
  family: z.string(),
  table: z.string(),
  name: z.string(),
  hook: z.optional(z.string()),
  policy: z.optional(z.string()),
});
export const RulesetSchema = z.object({
  nftables: z.array(z.object({ rule: z.optional(RuleSchema), chain: z.optional(ChainSchema) })),
});
export type Ruleset = z.infer<typeof RulesetSchema>;
type Rule = z.infer<typeof RuleSchema>;
type Chain = z.infer<typeof ChainSchema>;

/** Where all remaining packets are dropped: at the rule with that handle, or at the chain's end. */
interface DropPoint {
  readonly chain: string;
  readonly before: number | null;
  /** Number of Bulkhead's rules before it in the chain. */
  readonly accepted: number;
}

const FAMILIES = ['ip', 'inet'];
const MAX_JUMPS = 16;
const NO_MATCHES = ['counter', 'log', 'limit'];

/** The effect of a rule on every packet; null if it matches only some packets or has no verdict. */
const unconditional = (rule: Rule): { drops: boolean; jump: string | null; returns: boolean } | null => {
  const parts = (rule.expr ?? []).filter((part) => !NO_MATCHES.some((name) => name in part));
  const [part] = parts;
  if (parts.length !== 1 || part === undefined) return null;
  const target = (part.jump ?? part.goto) as { target?: string } | undefined;
  return {
    drops: 'drop' in part || 'reject' in part,
    jump: target?.target ?? null,
    returns: 'accept' in part || 'return' in part || 'goto' in part,
  };
};

const findIn = (
  rules: readonly Rule[],
  chain: string,
  comment: string,
  depth: number,
): DropPoint | 'end' | 'left' => {
  let accepted = 0;
  for (const rule of rules.filter((one) => one.chain === chain)) {
    if (rule.comment === comment) accepted++;
    const does = unconditional(rule);
    if (does === null) continue;
    if (does.drops) return { chain, before: rule.handle, accepted };
    if (does.jump !== null && depth < MAX_JUMPS) {
      const inside = findIn(rules, does.jump, comment, depth + 1);
      if (inside !== 'end' && inside !== 'left') return inside;
    }
    if (does.returns) return 'left';
  }
  return 'end';
};

/** Finds where a base chain drops all remaining packets; null if it does not. */
const dropPointOf = (base: Chain, rules: readonly Rule[], comment: string): DropPoint | null => {
  const found = findIn(rules, base.name, comment, 0);
  if (found !== 'end' && found !== 'left') return found;
  if (base.policy !== 'drop') return null;
  const accepted = rules.filter((rule) => rule.chain === base.name && rule.comment === comment).length;
  return { chain: base.name, before: null, accepted };
};

/** `nft` commands that accept the link in foreign chains; empty if no chain blocks it. */
export const acceptCommands = (ruleset: Ruleset, device: string, comment: string): string[] => {
  const rules = ruleset.nftables.flatMap(({ rule }) => rule ?? []);
  const bases = ruleset.nftables
    .flatMap(({ chain }) => chain ?? [])
    .filter(({ hook, family, table }) => hook === 'forward' && FAMILIES.includes(family) && !isOurs(table));
  return bases.flatMap((base) => {
    const { family, table } = base;
    const own = rules.filter((rule) => rule.family === family && rule.table === table);
    const point = dropPointOf(base, own, comment);
    if (point === null || point.accepted >= 2) return [];
    const where = `rule ${family} ${table} ${point.chain}`;
    const verb = point.before === null ? `add ${where}` : `insert ${where} position ${point.before}`;
    return ['iifname', 'oifname'].map((match) => `${verb} ${match} "${device}" accept comment "${comment}"`);
  });
};

/** `nft` commands that remove these rules. */
export const removeCommands = (ruleset: Ruleset, comment: string): string[] =>
  ruleset.nftables
    .flatMap(({ rule }) => rule ?? [])
    .filter((rule) => rule.comment === comment && !isOurs(rule.table))
    .map(({ family, table, chain, handle }) => `delete rule ${family} ${table} ${chain} handle ${handle}`);

const isOurs = (table: string): boolean => table.startsWith('bulkhead_');
