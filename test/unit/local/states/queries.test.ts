import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { Harness } from './harness.ts';

let harness: Harness;
beforeEach(() => {
  harness = new Harness();
});
afterEach(() => harness.close());

const cause = (text: string) =>
  `An error occurred while executing the state 'S' (entered at the event id #2). ${text}`;

async function evaluate(state: object, input: unknown): Promise<unknown> {
  harness.define({
    StartAt: 'S',
    States: { S: { Type: 'Pass', End: true, ...state }, T: { Type: 'Succeed' } },
  });
  const arn = await harness.start(input);
  const described = await harness.describe(arn);
  return described.status === 'SUCCEEDED'
    ? JSON.parse(described.output ?? '')
    : { error: described.error, cause: described.cause };
}

const path = (expression: string, input: unknown) => evaluate({ Parameters: { 'v.$': expression } }, input);
const jsonata = (expression: string, input: unknown = {}) =>
  evaluate({ QueryLanguage: 'JSONata', Output: { v: `{% ${expression} %}` } }, input);

describe('a repeated evaluation of an expression', () => {
  test('has no state of the previous evaluation', async () => {
    const once = "($seen := $exists($kept) ? 'leaked' : 'clean'; $kept := 1; $seen)";
    expect([await jsonata(once), await jsonata(once)]).toEqual([{ v: 'clean' }, { v: 'clean' }]);
  });

  test('has its own input, even if evaluations overlap', async () => {
    const items = Array.from({ length: 20 }, (_, at) => at);
    const doubled = await evaluate(
      {
        QueryLanguage: 'JSONata',
        Type: 'Map',
        Items: items,
        MaxConcurrency: 10,
        ItemProcessor: {
          StartAt: 'I',
          States: {
            I: { Type: 'Pass', QueryLanguage: 'JSONata', Output: '{% $states.input * 2 %}', End: true },
          },
        },
      },
      {},
    );
    expect(doubled).toEqual(items.map((at) => at * 2));
  });
});

describe('JSONPath', () => {
  const input = {
    'a-b': { 'c d': [1, 2, 3, 4] },
    books: [
      { t: 'A', price: 5, tags: ['x'] },
      { t: 'B', price: 15 },
      { t: 'C', price: 25 },
    ],
  };
  test.each<[string, unknown]>([
    ["$.a-b['c d'][0]", 1],
    ["$['a-b']['c d'][-1]", 4],
    ["$['a-b']['c d'][1:3]", [2, 3]],
    ["$['a-b']['c d'][0,2]", [1, 3]],
    ['$.books[*].t', ['A', 'B', 'C']],
    ['$..price', [5, 15, 25]],
    ['$.books[?(@.price > 10)].t', ['B', 'C']],
    ["$.books[?(@.t == 'A' || @.price >= 25)].t", ['A', 'C']],
    ['$.books[?(@.tags)].t', ['A']],
    ['$.books[?(!(@.price < 20) && @.t =~ /[BC]/)].t', ['C']],
    ["$.books[?(@.t in ['A','C'])].price", [5, 25]],
    ['$.books.length()', 3],
    ['$.books[9]', null],
  ])('%s', async (expression, expected) => {
    expect(await path(expression, input)).toEqual({ v: expected });
  });

  test('a path without a match fails as in AWS', async () => {
    expect(await path('$.nope', { a: 1 })).toEqual({
      error: 'States.Runtime',
      cause: cause(
        `The JSONPath '$.nope' specified for the field 'v.$' could not be found in the input '{"a":1}'`,
      ),
    });
    expect(await path("States.Format('{}', $.nope)", { a: 1 })).toEqual({
      error: 'States.Runtime',
      cause: cause(
        `The function 'States.Format('{}', $.nope)' had the following error: The JsonPath argument for the field '$.nope' could not be found in the input '{"a":1}'`,
      ),
    });
  });
});

describe('intrinsic functions', () => {
  test.each<[string, unknown, unknown]>([
    [
      `States.Format('a\\'b \\{\\} {} {}', $.n, $.l)`,
      { n: 1.5, l: [1, { k: null }] },
      "a'b {} 1.5 [1, {k=null}]",
    ],
    ['States.ArrayPartition($.a, 2)', { a: [1, 2, 3] }, [[1, 2], [3]]],
    ['States.ArrayContains($.a, $.b)', { a: [1, { x: [1] }], b: { x: [1] } }, true],
    ['States.ArrayRange(1, 9, 2)', {}, [1, 3, 5, 7, 9]],
    ['States.ArrayRange(3, 1, -1)', {}, [3, 2, 1]],
    ['States.ArrayUnique($.a)', { a: [1, 1, '1', { k: 1 }, { k: 1 }, null, null] }, [1, '1', { k: 1 }, null]],
    ["States.Base64Encode('Data to encode')", {}, 'RGF0YSB0byBlbmNvZGU='],
    ["States.Hash('input data', 'SHA-1')", {}, 'aaff4a450a104cd177d28d18d74485e8cae074b7'],
    ['States.JsonMerge($.a, $.b, false)', { a: { k: { x: 1 } }, b: { k: { y: 2 } } }, { k: { y: 2 } }],
    ['States.MathAdd(111, -1)', {}, 110],
    ['States.MathAdd(-1.5, 0)', {}, -1],
    ['States.MathRandom(1, 5)', {}, 3],
    ['States.JsonToString($.a)', { a: { b: [1, 'x'] } }, '{"b":[1,"x"]}'],
    ["States.StringSplit('a.b+c', '.+')", {}, ['a', 'b', 'c']],
    ["States.ArrayGetItem(States.Array(1, 'two', null, true), 1)", {}, 'two'],
  ])('%s', async (expression, input, expected) => {
    expect(await path(expression, input)).toEqual({ v: expected });
  });

  test.each([
    ["States.StringToJson('{')"],
    ['States.ArrayGetItem(States.Array(1), 1)'],
    ['States.ArrayRange(1, 2000, 1)'],
    ['States.ArrayRange(1, 2, 0)'],
    ["States.Format('{} {}', 1)"],
    ["States.Hash('x', 'SHA-2')"],
    ['States.JsonMerge($, $, true)'],
    ['States.MathRandom(5, 5)'],
    ['States.ArrayLength(1)'],
  ])('%s fails', async (expression) => {
    expect(await path(expression, {})).toMatchObject({
      error: 'States.Runtime',
      cause: expect.stringContaining(`The function '${expression}' had the following error: `),
    });
  });
});

describe('JSONata', () => {
  test.each<[string, unknown]>([
    ['$partition([1,2,3,4,5], 2.9)', [[1, 2], [3, 4], [5]]],
    ['$range(0, 10, 5)', [0, 5, 10]],
    ['$range(3, 3, 1)', 3],
    ["$hash('abc', 'MD5')", '900150983cd24fb0d6963f7d28e17f72'],
    ['$random(7) = $random(7)', true],
    ['$parse(\'{"a":[1]}\').a[0]', 1],
    ['$states.context.State.Name', 'S'],
    ['$now() & " " & $now("[Y]")', '2026-01-01T00:00:00.000Z 2026'],
    ['$millis()', Date.UTC(2026, 0, 1)],
    ['$parseInteger("abc", "0")', 'NaN'],
    ['null', null],
  ])('%s', async (expression, expected) => {
    expect(await jsonata(expression)).toEqual({ v: expected });
  });

  test.each([
    ['$states.input.absent', 'returned nothing (undefined).'],
    ['$partition([1], 0)', 'returned nothing (undefined).'],
    ["'a' + 1", 'threw an error during evaluation. T2001: '],
    ["$eval('1')", 'threw an error during evaluation. T1006: '],
  ])('%s fails', async (expression, message) => {
    expect(await jsonata(expression)).toEqual({
      error: 'States.QueryEvaluationError',
      cause: expect.stringContaining(
        cause(`The JSONata expression '${expression}' specified for the field 'Output/v' ${message}`),
      ),
    });
  });
});

describe('Choice', () => {
  const choose = async (rule: object, input: unknown) => {
    harness.define({
      StartAt: 'S',
      States: {
        S: { Type: 'Choice', Choices: [{ ...rule, Next: 'Yes' }], Default: 'No' },
        Yes: { Type: 'Pass', Result: true, End: true },
        No: { Type: 'Pass', Result: false, End: true },
      },
    });
    return harness.output(await harness.start(input));
  };
  const ORDERINGS = {
    Equals: [0],
    LessThan: [-1],
    GreaterThan: [1],
    LessThanEquals: [-1, 0],
    GreaterThanEquals: [0, 1],
  };

  test('compares numbers, strings and timestamps, as literals and by path', async () => {
    const values = {
      Numeric: [1, 2],
      String: ['a', 'b'],
      Timestamp: ['2026-01-01T00:00:00Z', '2026-01-01T00:00:00-01:00'],
    };
    for (const [type, [low, high]] of Object.entries(values)) {
      for (const [ordering, signs] of Object.entries(ORDERINGS)) {
        for (const [left, right, sign] of [
          [low, high, -1],
          [low, low, 0],
          [high, low, 1],
        ]) {
          const expected = signs.includes(Number(sign));
          expect(await choose({ Variable: '$.l', [`${type}${ordering}`]: right }, { l: left })).toBe(
            expected,
          );
          const byPath = { Variable: '$.l', [`${type}${ordering}Path`]: '$.r' };
          expect(await choose(byPath, { l: left, r: right })).toBe(expected);
        }
      }
    }
  });

  test.each<[object, unknown, boolean]>([
    [{ NumericEquals: 42 }, '42', false],
    [{ StringEquals: '42' }, 42, false],
    [{ TimestampEquals: '2026-01-01T00:00:00Z' }, 'soon', false],
    [{ BooleanEquals: true }, 'true', false],
    [{ StringMatches: 'a*c\\*' }, 'abbbc*', true],
    [{ StringMatches: 'a*c\\*' }, 'abbbcd', false],
    [{ StringMatches: 'a.c' }, 'abc', false],
    [{ IsTimestamp: true }, '2026-01-01T00:00:00.123+01:00', true],
    [{ IsTimestamp: true }, '2026-01-01', false],
    [{ IsNull: true }, null, true],
    [{ IsNumeric: false }, '1', true],
    [{ IsPresent: true }, null, true],
  ])('%j of %j', async (operator, value, expected) => {
    expect(await choose({ Variable: '$.v', ...operator }, { v: value })).toBe(expected);
  });

  test('a missing variable fails all operators except IsPresent', async () => {
    expect(await choose({ Variable: '$.v', IsPresent: false }, {})).toBe(true);
    harness.define({
      StartAt: 'S',
      States: {
        S: { Type: 'Choice', Choices: [{ Variable: '$.v', IsNull: true, Next: 'T' }] },
        T: { Type: 'Succeed' },
      },
    });
    expect(await harness.describe(await harness.start({}))).toMatchObject({
      error: 'States.Runtime',
      cause: cause(`Invalid path '$.v': The choice state's condition path references an invalid value.`),
    });
    expect(await harness.describe(await harness.start({ v: 1 }))).toMatchObject({
      error: 'States.Runtime',
      cause: cause('Failed to transition out of the state. The state does not point to a next state.'),
    });
  });
});

test('joining a partitioned array restores it', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer(), { maxLength: 12 }),
      fc.integer({ min: 1, max: 5 }),
      async (a, n) => {
        const chunks = (await path('States.ArrayPartition($.a, $.n)', { a, n })) as { v: number[][] };
        expect(chunks.v.flat()).toEqual(a);
        expect(chunks.v.every((chunk) => chunk.length <= n)).toBe(true);
      },
    ),
    { numRuns: 20 },
  );
});
