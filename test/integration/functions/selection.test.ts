import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { resolveSelect } from '../../../functions/shared/selection/resolve-select.ts';
import { checkExpressions } from '../../../functions/shared/selection/run-expressions.ts';
import { testId } from '../../helpers/records.ts';

const SECRET = 'S3CRET';
const event = {
  detail: {
    id: testId(1).toUpperCase(),
    n: 1,
    list: ['a', 'b'],
    deep: { name: 'web-1' },
    secret: SECRET,
    evil: `$error("${SECRET}")`,
  },
};

test('a selection uses strings from the event, and ids in either case', async () => {
  const select = {
    containerId: '{% $.detail.id %}',
    labels: { a: '{% $uppercase($.detail.deep.name) %}', b: 'c' },
  };
  expect(await resolveSelect('acme', select, event)).toEqual({
    kind: 'resolved',
    select: { containerId: testId(1), labels: { a: 'WEB-1', b: 'c' } },
  });
});

const reasonOf = async (expression: string): Promise<string> => {
  const resolution = await resolveSelect(
    'acme',
    { name: `{% ${expression} %}`, labels: { app: 'web' } },
    event,
  );
  return resolution.kind === 'nothing' ? resolution.reason : `resolved: ${JSON.stringify(resolution.select)}`;
};

describe('an expression selects nothing if it', () => {
  test.each([
    ['finds nothing', '$.detail.nothing', 'name: the expression did not return a string'],
    ['returns a number', '$.detail.n', 'name: the expression did not return a string'],
    ['returns a list', '$.detail.list', 'name: the expression did not return a string'],
    ['returns an invalid name', '"../x"', 'name: the expression returned an invalid string'],
    ['fails', '$toMillis("x")', 'name: the expression failed with D3110 at position 10'],
  ])('%s', async (_, expression, reason) => {
    expect(await reasonOf(expression)).toBe(reason);
  });
});

describe('the reason contains nothing from the event', () => {
  test.each([
    '$error($string($))',
    '$error($.detail.secret)',
    '$assert(false, $.detail.secret)',
    '$number($.detail.secret)',
    '$.detail.secret + 1',
    '-$.detail.secret',
    '$.detail.secret ~> 1',
    '$toMillis($.detail.secret)',
    '$fromMillis(1, $.detail.secret)',
    '$formatNumber(1, $.detail.secret)',
    '$formatBase($.detail.secret)',
    '$parseInteger("1", $.detail.secret)',
    '$decodeUrl("%" & $.detail.secret)',
    '$lookup($.detail, "evil") ~> $eval',
    '$eval($.detail.evil)',
    '($.detail.secret)()',
    '{$.detail.n: 1}',
    '$.detail{secret: 1, secret & "": 2}',
    '$merge($.detail.secret)',
    '$ ~> |detail|$.detail.secret|',
    '$replace("a", "a", function($m) { [$.detail.secret] })',
    '$sort([1, $.detail.secret])',
    '[1.."S3CRET"]',
    '$.detail.secret',
    '$pad($.detail.secret, 5000)',
  ])('%s', async (expression) => {
    const reason = await reasonOf(expression);
    if (!reason.startsWith('resolved')) expect(reason).not.toContain(SECRET);
    expect(reason).toMatch(
      /^(resolved: .*|name: (the expression failed( with [A-Z]\d{4})?( at position \d+)?|the expression did not return a string|the expression returned an invalid string))$/,
    );
  });

  test('for any combination of functions', async () => {
    const names = ['error', 'string', 'number', 'uppercase', 'keys', 'toMillis', 'base64decode', 'merge'];
    const nested = fc.array(fc.constantFrom(...names), { minLength: 1, maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(nested, async (functions) => {
        const expression = functions.reduce((inner, name) => `$${name}(${inner})`, '$');
        const reason = await reasonOf(expression);
        expect(reason).not.toContain(SECRET);
      }),
      { numRuns: 15 },
    );
  });
});

describe('an expression with excessive resource use is ended, and the caller continues', () => {
  test.each([
    ['recurses in tail position without end', '($f := function() { $f() }; $f())'],
    ['recurses to any depth', '($f := function($n) { 1 + $f($n) }; $f(1))'],
    [
      'doubles a string repeatedly',
      '($f := function($s, $n) { $n = 0 ? $s : $f($s & $s, $n - 1) }; $f("aaaaaaaaaaaaaaaa", 24))',
    ],
    ['converts a string after doubling it', '$uppercase($join([1..9999].$pad("", 60000, "a")))'],
    ['pads to 500 million characters', '$pad("", 500000000, "a")'],
    ['makes a range of 10 million', '$string([1..10000000])'],
    ['sorts with an inconsistent comparison', '$string($sort([1..9999], function($a, $b) { true }))'],
    ['multiplies lists', '$string([1..9999].([1..9999].([1..9999])))'],
    ['replaces each of many characters by many', '$replace($pad("", 60000, "a"), "a", $pad("", 60000, "b"))'],
    ['exhausts its memory', '$map([1..9999], function($i) { {"a": [1..9999]} })'],
    ['backtracks', '$string($match($pad("", 60, "a") & "!", /^(a+)+$/))'],
  ])('%s', async (_, expression) => {
    const reason = await reasonOf(expression);
    // The next expression is evaluated, even if the process was ended.
    expect(await reasonOf('$.detail.deep.name')).toBe('resolved: {"name":"web-1","labels":{"app":"web"}}');
    expect(reason).toMatch(
      /^(an expression takes too much time or memory|name: the expression failed( with [A-Z]\d{4})?( at position \d+)?|name: the expression did not return a string)$/,
    );
  });
});

test('an expression cannot access anything in its process', async () => {
  for (const expression of [
    '$type($.constructor)',
    '$string($keys.constructor)',
    '$lookup($, "__proto__")',
    '$string($spread($string))',
    '$.detail.list.constructor("return process")()',
  ])
    expect(await reasonOf(expression)).not.toMatch(/native|process|resolved: .*function/);
});

const TRANSFORMS = [
  '$ ~> |detail|{"n": 2}|',
  '($z := {} ~> |$lowercase|{}, ["_jsonata_function"]|; "x")',
  '({} ~> |$string|{"implementation": $uppercase}|; "x")',
  '($f := function() { 1 }; {} ~> |$f.**|{}, ["environment"]|; "x")',
  '$map([1], function($i) { $ ~> |$|{}| })',
  '$.detail[$ ~> |$|{}|]',
  '$.detail{"a": $ ~> |$|{}|}',
  '$.detail^(<$string($ ~> |$|{}|))',
  '$.detail@$d.list#$i[$ ~> |$|{}|]',
  '{"a": [1, ($t := |$|{}|; $t)]}',
  'false ? 1 : $.detail.($x := [1..2][|$|{}|($)])',
  '|$| |$|{}| |',
  '$count(?, |$|{}|)',
];

test.each(TRANSFORMS)(
  'a rule cannot change objects in place, and a stored one has no effect: %s',
  async (text) => {
    const [fault] = await checkExpressions('acme', [text]);
    expect(fault).not.toBeNull();
    expect(await reasonOf(text)).toMatch(/^name: the expression failed with S0\d{3}/);
  },
);

test('no expression changes the result of a later one', async () => {
  const lowercase = { name: '{% $lowercase("WEB") %}' };
  for (const text of TRANSFORMS) await reasonOf(text);
  for (const tenant of ['acme', 'umbrella'])
    expect(await resolveSelect(tenant, lowercase, event)).toEqual({
      kind: 'resolved',
      select: { name: 'web' },
    });
  expect(await reasonOf('($f := function() { $f() }; $f())')).toContain('D1012');
});

test('a rule cannot have functions that evaluate the event, or return something else each time', async () => {
  const faults = await checkExpressions('acme', [
    '$eval($.a)',
    '$.a ~> $eval',
    '$string($random())',
    '$shuffle([1])',
    '"$eval"',
    '$.eval',
    '"|a|b|"',
    '$.transform',
    '{"type": "transform"}',
  ]);
  const refused = faults.map((fault) => fault !== null);
  expect(refused).toEqual([true, true, true, true, false, false, false, false, false]);
});
