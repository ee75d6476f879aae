import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { fromItem, toItem } from '../../../store/item.ts';

test('a record comes back as it was put, but for what is null', () => {
  const record = { a: [1, { b: null, c: 'x' }], d: null, e: undefined, f: { g: true }, h: Buffer.from('i') };
  expect(fromItem(toItem(record))).toEqual({
    a: [1, { c: 'x' }],
    f: { g: true },
    h: Uint8Array.from(Buffer.from('i')),
  });
});

test('whatever a label or a variable is called', () => {
  const name = fc.oneof(
    fc.constantFrom('constructor', 'toString', 'hasOwnProperty', 'length', 'size'),
    fc.string(),
  );
  fc.assert(
    fc.property(fc.dictionary(name, fc.string()), (labels) => {
      const plain = { ...labels };
      expect(fromItem(toItem({ view: { labels: plain } }))).toEqual({ view: { labels: plain } });
    }),
  );
});
