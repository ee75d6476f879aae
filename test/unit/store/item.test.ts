import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { fromItem, toAttribute, toItem } from '../../../store/item.ts';

test('a record is read unchanged, except null members', () => {
  const record = { a: [1, { b: null, c: 'x' }], d: null, e: undefined, f: { g: true }, h: Buffer.from('i') };
  expect(fromItem(toItem(record))).toEqual({
    a: [1, { c: 'x' }],
    f: { g: true },
    h: Uint8Array.from(Buffer.from('i')),
  });
});

test('a label or variable with any name is read unchanged', () => {
  const name = fc.oneof(
    fc.constantFrom('constructor', 'toString', 'hasOwnProperty', 'length', 'size', '__proto__'),
    fc.string(),
  );
  fc.assert(
    fc.property(fc.dictionary(name, fc.string()), (labels) => {
      const plain = { ...labels };
      expect(fromItem(toItem({ view: { labels: plain } }))).toEqual({ view: { labels: plain } });
    }),
  );
});

test('null is kept in lists and as a single value', () => {
  expect(toAttribute([null, undefined, 1])).toEqual({ L: [{ NULL: true }, { N: '1' }] });
  expect(fromItem({ a: toAttribute([null, -0.5]), b: toAttribute(null) })).toEqual({
    a: [null, -0.5],
    b: null,
  });
});

test.each([Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53, 1n, () => 1, new Date(0), new Set(['a'])])(
  '%p is refused, because it could not be read unchanged',
  (value) => {
    expect(() => toItem({ value })).toThrow(TypeError);
  },
);
