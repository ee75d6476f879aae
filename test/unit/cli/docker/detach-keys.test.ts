import { describe, expect, test } from '@jest/globals';
import { DetachKeys } from '../../../../cli/docker/detach-keys.ts';

const feed = (keys: DetachKeys, ...pieces: string[]): string =>
  pieces.map((piece) => keys.take(Buffer.from(piece, 'latin1')).toString('latin1')).join('');

describe('detach keys', () => {
  test.each([
    ['', 'ab\x10\x11cd', 'ab', true],
    ['', 'ab\x10c', 'ab\x10c', false],
    ['', 'a\x10\x10\x11', 'a\x10', true],
    ['ctrl-a', 'x\x01y', 'x', true],
    ['ctrl-@,q', '\0q', '', true],
    ['a,b,c', 'abaabc', 'aba', true],
  ])('%j: of the input %j, %j is passed on', (text, input, passed, found) => {
    const [whole, pieces] = [new DetachKeys(text), new DetachKeys(text)];
    expect([feed(whole, input), whole.found]).toEqual([passed, found]);
    expect([feed(pieces, ...input), pieces.found]).toEqual([passed, found]);
  });

  test.each(['ctrl-', 'ctrl-!', 'abc', 'a,,b'])('%j is refused', (text) => {
    expect(() => new DetachKeys(text)).toThrow('Invalid detach keys');
  });
});
