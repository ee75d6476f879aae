import { describe, expect, test } from '@jest/globals';
import {
  acceptCommands,
  type Ruleset,
  removeCommands,
} from '../../../../agent/runtimes/linux/network/foreign-chains.ts';

const COMMENT = 'bulkhead abcde';
type Expression = Record<string, unknown>[];
const ACCEPT_OURS: Expression = [{ match: {} }, { accept: null }];

/** A ruleset with one table. Base chains have a policy. */
const rulesetOf = (
  chains: Record<string, { policy?: string; rules?: (Expression | 'ours')[] }>,
  table = 'filter',
): Ruleset => {
  let handle = 0;
  return {
    nftables: Object.entries(chains).flatMap(([name, { policy, rules = [] }]) => [
      { chain: { family: 'ip', table, name, ...(policy ? { hook: 'forward', policy } : {}) } },
      ...rules.map((rule) => ({
        rule: {
          family: 'ip',
          table,
          chain: name,
          handle: ++handle,
          ...(rule === 'ours' ? { comment: COMMENT, expr: ACCEPT_OURS } : { expr: rule }),
        },
      })),
    ]),
  };
};
const commands = (ruleset: Ruleset) => acceptCommands(ruleset, 'bhrabcde', COMMENT);
const MATCH = { match: {} };

describe('base chains of other programs for forwarded packets', () => {
  test('a chain with the policy drop gets an accept rule for each direction after its own rules', () => {
    const ruleset = rulesetOf({ FORWARD: { policy: 'drop', rules: [[MATCH, { drop: null }]] } });
    expect(commands(ruleset)).toEqual([
      'add rule ip filter FORWARD iifname "bhrabcde" accept comment "bulkhead abcde"',
      'add rule ip filter FORWARD oifname "bhrabcde" accept comment "bulkhead abcde"',
    ]);
  });

  test('a chain with a final drop gets the rules directly before it, even if it has a counter and a log', () => {
    const rules: Expression[] = [
      [MATCH, { accept: null }],
      [{ counter: {} }, { log: {} }, { reject: {} }],
    ];
    expect(commands(rulesetOf({ FORWARD: { policy: 'accept', rules } }))).toEqual(
      ['iifname', 'oifname'].map(
        (match) => `insert rule ip filter FORWARD position 2 ${match} "bhrabcde" accept comment "${COMMENT}"`,
      ),
    );
  });

  test('a drop at the end of firewalld’s chain of the default zone is found', () => {
    const ruleset = rulesetOf({
      FORWARD: { policy: 'accept', rules: [[{ jump: { target: 'ZONES' } }], [{ reject: {} }]] },
      ZONES: { rules: [[MATCH, { goto: { target: 'other' } }], [{ goto: { target: 'public' } }]] },
      public: { rules: [[MATCH, { accept: null }], [{ reject: {} }]] },
    });
    expect(commands(ruleset)[0]).toContain('insert rule ip filter public position 6 ');
  });

  test('no rule is added if it exists or if the chain does not drop all packets', () => {
    const present = { FORWARD: { policy: 'drop', rules: ['ours', 'ours'] as ('ours' | Expression)[] } };
    expect(commands(rulesetOf(present))).toEqual([]);
    const open = { FORWARD: { policy: 'accept', rules: [[MATCH, { drop: null }]] } };
    expect(commands(rulesetOf(open))).toEqual([]);
    const returning = {
      FORWARD: { policy: 'accept', rules: [[{ accept: null }], [{ drop: null }]] as Expression[] },
    };
    expect(commands(rulesetOf(returning))).toEqual([]);
  });

  test('the rules are added again if another program has inserted a drop before them', () => {
    const ruleset = rulesetOf({ FORWARD: { policy: 'drop', rules: [[{ drop: null }], 'ours', 'ours'] } });
    expect(commands(ruleset)).toHaveLength(2);
  });

  test('Bulkhead’s own tables and chains with circular jumps are unchanged', () => {
    expect(commands(rulesetOf({ forward: { policy: 'drop' } }, 'bulkhead_fffff'))).toEqual([]);
    const circle = rulesetOf({
      FORWARD: { policy: 'accept', rules: [[{ jump: { target: 'a' } }]] },
      a: { rules: [[{ jump: { target: 'a' } }]] },
    });
    expect(commands(circle)).toEqual([]);
  });

  test('exactly the added rules are removed', () => {
    const ruleset = rulesetOf({
      FORWARD: { policy: 'drop', rules: [[MATCH, { drop: null }], 'ours', 'ours'] },
    });
    expect(removeCommands(ruleset, COMMENT)).toEqual([
      'delete rule ip filter FORWARD handle 2',
      'delete rule ip filter FORWARD handle 3',
    ]);
  });
});
