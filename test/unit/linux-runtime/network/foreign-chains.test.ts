import { describe, expect, test } from '@jest/globals';
import {
  acceptCommands,
  type Ruleset,
  removeCommands,
} from '../../../../agent/runtimes/linux/network/foreign-chains.ts';

const COMMENT = 'bulkhead abcde';
type Expression = Record<string, unknown>[];
const ACCEPT_OURS: Expression = [{ match: {} }, { accept: null }];

/** A ruleset of one table; chains that hook have a policy. */
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

describe('other programs’ chains that hook forward', () => {
  test('a policy that drops gets an accept for each direction, behind the chain’s own rules', () => {
    const ruleset = rulesetOf({ FORWARD: { policy: 'drop', rules: [[MATCH, { drop: null }]] } });
    expect(commands(ruleset)).toEqual([
      'add rule ip filter FORWARD iifname "bhrabcde" accept comment "bulkhead abcde"',
      'add rule ip filter FORWARD oifname "bhrabcde" accept comment "bulkhead abcde"',
    ]);
  });

  test('a final drop gets it right before, also with a counter and a log', () => {
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

  test('a drop at the end of the chain of the default zone is found, as firewalld has it', () => {
    const ruleset = rulesetOf({
      FORWARD: { policy: 'accept', rules: [[{ jump: { target: 'ZONES' } }], [{ reject: {} }]] },
      ZONES: { rules: [[MATCH, { goto: { target: 'other' } }], [{ goto: { target: 'public' } }]] },
      public: { rules: [[MATCH, { accept: null }], [{ reject: {} }]] },
    });
    expect(commands(ruleset)[0]).toContain('insert rule ip filter public position 6 ');
  });

  test('nothing is added where it is already, or where nothing drops everything', () => {
    const present = { FORWARD: { policy: 'drop', rules: ['ours', 'ours'] as ('ours' | Expression)[] } };
    expect(commands(rulesetOf(present))).toEqual([]);
    const open = { FORWARD: { policy: 'accept', rules: [[MATCH, { drop: null }]] } };
    expect(commands(rulesetOf(open))).toEqual([]);
    const returning = {
      FORWARD: { policy: 'accept', rules: [[{ accept: null }], [{ drop: null }]] as Expression[] },
    };
    expect(commands(rulesetOf(returning))).toEqual([]);
  });

  test('it is added again where somebody has put a drop before it', () => {
    const ruleset = rulesetOf({ FORWARD: { policy: 'drop', rules: [[{ drop: null }], 'ours', 'ours'] } });
    expect(commands(ruleset)).toHaveLength(2);
  });

  test('the tables of this program, and chains that jump in a circle, are left alone', () => {
    expect(commands(rulesetOf({ forward: { policy: 'drop' } }, 'bulkhead_fffff'))).toEqual([]);
    const circle = rulesetOf({
      FORWARD: { policy: 'accept', rules: [[{ jump: { target: 'a' } }]] },
      a: { rules: [[{ jump: { target: 'a' } }]] },
    });
    expect(commands(circle)).toEqual([]);
  });

  test('all of it is taken back, and nothing else', () => {
    const ruleset = rulesetOf({
      FORWARD: { policy: 'drop', rules: [[MATCH, { drop: null }], 'ours', 'ours'] },
    });
    expect(removeCommands(ruleset, COMMENT)).toEqual([
      'delete rule ip filter FORWARD handle 2',
      'delete rule ip filter FORWARD handle 3',
    ]);
  });
});
