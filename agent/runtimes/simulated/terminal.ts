import type { Io } from './simulated-process.ts';

const INTERRUPT = '\u0003';
const END = '\u0004';
const ERASE = ['\u007f', '\b'];

/**
 * Reads a program's input line by line. On a terminal it acts as a line discipline: it echoes, erases, ends the line at Return,
 * ends the input at ^D on an empty line, and drops the line at ^C. Returns null at the end of the input.
 */
export const createLineReader = (io: Io) => {
  const decoder = new TextDecoder();
  let waiting = '';
  let line = '';
  let ended = false;

  /** Returns undefined while the line is incomplete. */
  const takeKey = async (character: string): Promise<string | null | undefined> => {
    if (character === '\r' || character === '\n') {
      await io.write('\r\n');
      return line;
    }
    if (character === INTERRUPT) {
      await io.write('^C\r\n');
      return '';
    }
    if (character === END) return line === '' ? null : undefined;
    if (!ERASE.includes(character)) {
      line += character;
      await io.write(character);
    } else if (line !== '') {
      line = line.slice(0, -1);
      await io.write('\b \b');
    }
    return undefined;
  };
  const take = async (character: string): Promise<string | null | undefined> => {
    if (io.tty) return takeKey(character);
    if (character === '\n') return line;
    line += character;
    return undefined;
  };

  return async (): Promise<string | null> => {
    line = '';
    for (;;) {
      while (waiting !== '') {
        const [character = ''] = waiting;
        waiting = waiting.slice(character.length);
        const read = await take(character);
        if (read !== undefined) return read;
      }
      if (ended) return line === '' ? null : line;
      const data = await io.read();
      if (data === null) ended = true;
      else waiting += decoder.decode(data, { stream: true });
    }
  };
};
