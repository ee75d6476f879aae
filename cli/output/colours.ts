import type { Io, TextOutput } from '../io.ts';

const CODES = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33, blue: 34, cyan: 36 } as const;
export type Colour = keyof typeof CODES;
export type Paint = (colour: Colour | undefined, text: string) => string;

const plain: Paint = (_, text) => text;
const coloured: Paint = (colour, text) =>
  colour === undefined || text === '' ? text : `\u001b[${CODES[colour]}m${text}\u001b[0m`;

/** Colors on terminals that support them, except with NO_COLOR (https://no-color.org). */
export const paintFor = (output: TextOutput, { env }: Pick<Io, 'env'>): Paint => {
  if (output.isTTY !== true || env.TERM === 'dumb') return plain;
  return env.NO_COLOR === undefined || env.NO_COLOR === '' ? coloured : plain;
};

const BY_STATE: Readonly<Record<string, Colour>> = {
  Running: 'green',
  Ready: 'green',
  Succeeded: 'green',
  Failed: 'red',
  Lost: 'red',
  Unknown: 'yellow',
  Cancelled: 'yellow',
  Draining: 'yellow',
  Pending: 'cyan',
  Starting: 'cyan',
  Stopping: 'cyan',
  Converting: 'cyan',
  Removing: 'cyan',
  Cancelling: 'cyan',
};
export const colourOfState = (state: string): Colour | undefined => BY_STATE[state];
