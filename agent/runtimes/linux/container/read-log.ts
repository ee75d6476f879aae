import { readIfThere } from '../files.ts';

export interface LogLine {
  /** RFC 3339, UTC. */
  readonly at: string;
  readonly source: 'stdout' | 'stderr';
  readonly text: string;
}

export interface LogQuery {
  /** The newest so many lines. */
  readonly tail?: number;
  /** Only what was written at that time or later. */
  readonly since?: Date;
}

const ENTRY = /^(\S+) (stdout|stderr) ([FP]) (.*)$/s;

/** Pieces of one line, which a long line is written in, become one again. */
const parse = (text: string): LogLine[] => {
  const lines: LogLine[] = [];
  const open: { stdout: LogLine | null; stderr: LogLine | null } = { stdout: null, stderr: null };
  for (const entry of text.split('\n')) {
    const [, at, source, kind, piece] = ENTRY.exec(entry) ?? [];
    if (at === undefined || piece === undefined || (source !== 'stdout' && source !== 'stderr')) continue;
    const line: LogLine = { at: open[source]?.at ?? at, source, text: (open[source]?.text ?? '') + piece };
    open[source] = kind === 'P' ? line : null;
    if (kind === 'F') lines.push(line);
  }
  return [...lines, ...[open.stdout, open.stderr].filter((line) => line !== null)];
};

/** What is kept of a main process's output: at most two files of the log's size (`main-log.ts`, `helper/log.h`). */
export const readLog = async (path: string, { tail, since }: LogQuery): Promise<LogLine[]> => {
  const text = `${(await readIfThere(`${path}.1`)) ?? ''}${(await readIfThere(path)) ?? ''}`;
  const wanted = parse(text).filter(({ at }) => since === undefined || Date.parse(at) >= since.getTime());
  return tail === undefined ? wanted : wanted.slice(Math.max(0, wanted.length - tail));
};
