import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { compilePattern, InvalidPatternError } from '../../../../local/events/patterns/index.ts';

const matches = (pattern: unknown, event: unknown) => compilePattern(pattern)(event);
const invalid = (pattern: unknown) => expect(() => compilePattern(pattern)).toThrow(InvalidPatternError);

describe('arrays', () => {
  const event = {
    teams: [
      { name: 'red', size: 3 },
      { name: 'blue', size: 5 },
    ],
    tags: ['a', 'b'],
  };

  test('fields of one array of objects must come from the same element', () => {
    expect(matches({ teams: { name: ['red'], size: [3] } }, event)).toBe(true);
    expect(matches({ teams: { name: ['red'], size: [5] } }, event)).toBe(false);
  });

  test('any element of an array of values can match', () => {
    expect(matches({ tags: ['b'] }, event)).toBe(true);
    expect(matches({ tags: [{ 'anything-but': 'a' }] }, event)).toBe(true);
    expect(matches({ tags: [{ 'anything-but': ['a', 'b'] }] }, event)).toBe(false);
  });

  test('an empty array is not a leaf', () => {
    expect(matches({ tags: [{ exists: false }] }, { tags: [] })).toBe(true);
    expect(matches({ tags: [{ exists: true }] }, { tags: [] })).toBe(false);
  });
});

describe('values', () => {
  test('are compared with their JSON type', () => {
    expect(matches({ a: ['1'] }, { a: 1 })).toBe(false);
    expect(matches({ a: [1] }, { a: '1' })).toBe(false);
    expect(matches({ a: [1] }, JSON.parse('{"a": 1.0e0}'))).toBe(true);
    expect(matches({ a: [true] }, { a: 'true' })).toBe(false);
  });

  test('anything-but needs a leaf', () => {
    expect(matches({ a: [{ 'anything-but': 'x' }] }, {})).toBe(false);
    expect(matches({ a: [{ 'anything-but': 'x' }] }, { a: null })).toBe(true);
  });
});

describe('$or', () => {
  const pattern = { source: ['s'], $or: [{ a: [1] }, { b: { c: [{ prefix: 'x' }] } }] };

  test('is combined with the other conditions', () => {
    expect(matches(pattern, { source: 's', a: 1 })).toBe(true);
    expect(matches(pattern, { source: 's', b: { c: 'xyz' } })).toBe(true);
    expect(matches(pattern, { source: 's', a: 2 })).toBe(false);
    expect(matches(pattern, { source: 't', a: 1 })).toBe(false);
  });

  test('is a field name if its array has no conditions', () => {
    expect(matches({ $or: ['x', 'y'] }, { $or: 'y' })).toBe(true);
  });

  test('more than a thousand combinations are refused', () => {
    const ten = Array.from({ length: 11 }, (_, i) => ({ [`k${i}`]: [1] }));
    invalid({ a: { $or: ten }, b: { $or: ten }, c: { $or: ten } });
  });
});

describe('invalid patterns', () => {
  test.each([
    [{}],
    [[]],
    ['not json'],
    [{ a: {} }],
    [{ a: [] }],
    [{ a: 1 }],
    [{ a: [['x']] }],
    [{ a: [{}] }],
    [{ a: [{ prefix: 'x', suffix: 'y' }] }],
    [{ a: [{ exists: 'true' }] }],
    [{ a: [{ numeric: ['<', 5, '>', 1] }] }],
    [{ a: [{ numeric: ['>', 5, '<', 1] }] }],
    [{ a: [{ numeric: ['>=', '1'] }] }],
    [{ a: [{ numeric: [] }] }],
    [{ a: [{ cidr: '10.0.0.0/32' }] }],
    [{ a: [{ cidr: '10.0.0.0' }] }],
    [{ a: [{ cidr: '::1/128' }] }],
    [{ a: [{ wildcard: 'a**b' }] }],
    [{ a: [{ wildcard: 'a\\b' }] }],
    [{ a: [{ 'anything-but': [] }] }],
    [{ a: [{ 'anything-but': ['x', 1] }] }],
    [{ a: [{ 'anything-but': true }] }],
    [{ a: [{ 'anything-but': { prefix: '' } }] }],
    [{ a: [{ 'anything-but': { numeric: ['=', 1] } }] }],
  ])('%j', (pattern) => invalid(pattern));

  test('wildcards with too many combinations are refused as too complex', () => {
    const pattern = { a: [{ wildcard: '*a*a*a*a*a*a*a*a*a*' }] };
    expect(() => compilePattern(pattern)).toThrow(/Rule is too complex/);
    expect(matches({ a: [{ wildcard: '*/one/*/two/*' }] }, { a: 'x/one/y/two/z' })).toBe(true);
  });
});

describe('properties', () => {
  const text = fc.string({ unit: fc.constantFrom('a', 'b', '*', '\\', '.'), maxLength: 8 });
  const escaped = (literal: string) => literal.replace(/[*\\]/g, '\\$&');

  test('a wildcard without stars is a literal', () => {
    fc.assert(
      fc.property(text, text, (a, b) => {
        expect(matches({ k: [{ wildcard: escaped(a) }] }, { k: b })).toBe(a === b);
      }),
    );
  });

  test('a star matches any sequence of characters', () => {
    fc.assert(
      fc.property(text, text, text, (head, middle, tail) => {
        const wildcard = `${escaped(head)}*${escaped(tail)}`;
        expect(matches({ k: [{ wildcard }] }, { k: `${head}${middle}${tail}` })).toBe(true);
      }),
    );
  });

  test('anything-but negates its condition for text', () => {
    fc.assert(
      fc.property(
        text,
        text.filter((part) => part !== ''),
        (value, part) => {
          for (const type of ['prefix', 'suffix', 'equals-ignore-case']) {
            const positive = matches({ k: [{ [type]: part }] }, { k: value });
            expect(matches({ k: [{ 'anything-but': { [type]: part } }] }, { k: value })).toBe(!positive);
          }
        },
      ),
    );
  });

  test('a CIDR block contains exactly the addresses with its leading bits', () => {
    const octet = fc.integer({ min: 0, max: 255 });
    const address = fc.tuple(octet, octet, octet, octet);
    fc.assert(
      fc.property(address, address, fc.integer({ min: 0, max: 31 }), (a, b, bits) => {
        const number = (ip: number[]) => ip.reduce((sum, part) => sum * 256 + part, 0);
        const size = 2 ** (32 - bits);
        const same = Math.floor(number(a) / size) === Math.floor(number(b) / size);
        const pattern = { ip: [{ cidr: `${a.join('.')}/${bits}` }] };
        expect(matches(pattern, { ip: b.join('.') })).toBe(same);
      }),
    );
  });
});
