import { Duplex } from 'node:stream';
import { describe, expect, test } from '@jest/globals';
import { ConsoleTail } from '../../../agent/runtimes/linux/vm/console-tail.ts';
import { ManualClock } from '../../helpers/manual-clock.ts';

const tailOf = (...pieces: readonly (string | Buffer)[]): string => {
  const socket = new Duplex({ read: () => {}, write: (_, __, done) => done() });
  const tail = new ConsoleTail(socket as never, new ManualClock());
  for (const piece of pieces) socket.emit('data', Buffer.from(piece as string));
  const { text } = tail;
  tail.close();
  return text;
};
const lines = (count: number) => Array.from({ length: count }, (_, index) => `line ${index}\n`).join('');

describe('the tail of a console', () => {
  test('has the last twelve lines', () => {
    expect(tailOf(lines(30)).split('\n')).toEqual(
      Array.from({ length: 12 }, (_, index) => `line ${index + 18}`),
    );
  });

  test('begins with a panic, which can arrive in pieces', () => {
    expect(tailOf(lines(3), '[  1.0] Kernel pa', 'nic - not syncing\n', lines(20))).toMatch(
      /^\[ {2}1\.0\] Kernel panic - not syncing\nline 0\n/,
    );
  });

  test('has no control characters from the guest', () => {
    expect(tailOf('\u001b[31mred\u0007\u0000\r\n', Buffer.from([0xff, 0x41]))).toBe('[31mred\nA');
  });

  test('of a kernel that floods it byte by byte is read with pauses, in few pieces', async () => {
    const clock = new ManualClock();
    const socket = new Duplex({ read: () => {}, write: (_, __, done) => done() });
    const tail = new ConsoleTail(socket as never, clock);
    const readPieces = (): number => {
      let pieces = 0;
      for (; !socket.isPaused(); pieces++) socket.emit('data', Buffer.from('x'));
      return pieces;
    };
    expect(readPieces()).toBe(4_096);
    await clock.pass(99);
    expect(readPieces()).toBe(0);
    await clock.pass(1);
    expect(readPieces()).toBe(8);
    tail.close();
    await clock.pass(1_000);
    expect(socket.isPaused()).toBe(true);
    expect(tail.text).toBe('x'.repeat(4_104));
  });

  test('is bounded', () => {
    expect(tailOf('x'.repeat(1_000_000)).length).toBe(8 * 1024);
  });
});
