import type { OutputSource } from '../channel/guest-process.ts';

/** After this pause an unfinished line is logged, because it may be a prompt. */
export const LOG_PAUSE_MS = 20;
const LINE_BYTES = 16 * 1024;
const NEWLINE = 0x0a;
export const LINE_END = Buffer.from('\n');

/** The prefixes of an entry's text: `whole` for a line or its last part, `part` for an earlier part. */
interface Heads {
  readonly whole: Buffer;
  readonly part: Buffer;
}

export const entryHeads = (at: Date, source: OutputSource): Heads => {
  const time = at.toISOString();
  return { whole: Buffer.from(`${time} ${source} F `), part: Buffer.from(`${time} ${source} P `) };
};

/**
 * Divides output into entries. All entries go into one buffer: tens of thousands of empty lines can arrive at once,
 * and a buffer for each would block the agent.
 */
export const toEntries = (data: Buffer, { whole, part }: Heads): { entries: Buffer; rest: Buffer } => {
  const lines: { readonly head: Buffer; readonly from: number; readonly to: number }[] = [];
  let from = 0;
  let bytes = 0;
  for (;;) {
    const end = data.indexOf(NEWLINE, from);
    if (end < 0 && data.length - from <= LINE_BYTES) break;
    const isWhole = end >= 0 && end - from <= LINE_BYTES;
    const to = isWhole ? end : from + LINE_BYTES;
    lines.push({ head: isWhole ? whole : part, from, to });
    bytes += whole.length + to - from + LINE_END.length;
    from = isWhole ? to + 1 : to;
  }
  const entries = Buffer.allocUnsafe(bytes);
  let at = 0;
  for (const line of lines) {
    at += line.head.copy(entries, at);
    at += data.copy(entries, at, line.from, line.to);
    entries[at] = NEWLINE;
    at += 1;
  }
  return { entries, rest: data.subarray(from) };
};
