import * as z from 'zod/mini';

/**
 * Other programs' firewalls on the host: iptables, Docker, firewalld, ufw. An accept in one base chain does not
 * overrule the drop of another, so a chain that drops all that no rule accepts (FORWARD with the policy drop, a final
 * `reject`) would cut containers off. There an accept for the router's link is added: as late as possible, right
 * before what drops everything, so each rule that an operator has written for certain packets comes first.
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

/** Where everything that has come so far is dropped: before the rule with that handle, or at the chain's end. */
interface DropPoint {
  readonly chain: string;
  readonly before: number | null;
  /** Rules of ours that come before it in that chain. */
  readonly accepted: number;
}

const FAMILIES = ['ip', 'inet'];
const MAX_JUMPS = 16;
const NO_MATCHES = ['counter', 'log', 'limit'];

/** What a rule does with every packet; null where it matches only some, or goes on. */
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

/** Where a base chain drops everything; null where it does not. */
const dropPointOf = (base: Chain, rules: readonly Rule[], comment: string): DropPoint | null => {
  const found = findIn(rules, base.name, comment, 0);
  if (found !== 'end' && found !== 'left') return found;
  if (base.policy !== 'drop') return null;
  const accepted = rules.filter((rule) => rule.chain === base.name && rule.comment === comment).length;
  return { chain: base.name, before: null, accepted };
};

/** `nft` commands that let the link through foreign chains; none where all of them do. */
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

/** `nft` commands that take all of that back. */
export const removeCommands = (ruleset: Ruleset, comment: string): string[] =>
  ruleset.nftables
    .flatMap(({ rule }) => rule ?? [])
    .filter((rule) => rule.comment === comment && !isOurs(rule.table))
    .map(({ family, table, chain, handle }) => `delete rule ${family} ${table} ${chain} handle ${handle}`);

const isOurs = (table: string): boolean => table.startsWith('bulkhead_');
