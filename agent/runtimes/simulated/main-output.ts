import type { LogItem, LogPage } from '../../../core/contract/session.ts';
import { RuntimeError } from '../../errors.ts';
import type { LogQuery } from '../runtime.ts';
import type { Run } from './world.ts';

const PAGE_LINES = 500;
const CURSOR = /^(\d+)\.(\d+)$/;

/** The output of a script's `echo` commands, with times that follow from its `sleep` commands. */
const linesOf = (command: readonly string[], startedAt: number, until: number): LogItem[] => {
  const flag = command.findIndex((arg) => /^(-c|\/c)$/i.test(arg));
  const script = flag < 0 ? command.join(' ') : command.slice(flag + 1).join(' ');
  const items: LogItem[] = [];
  let at = startedAt;
  for (const part of script.split(/;|&&|\n/)) {
    const [, echoed] = /^\s*echo\s+(.*?)\s*$/i.exec(part) ?? [];
    const [, seconds] = /^\s*sleep\s+([\d.]+)/i.exec(part) ?? [];
    if (seconds !== undefined) at += Number(seconds) * 1_000;
    if (at > until) break;
    if (echoed !== undefined)
      items.push({
        at: new Date(at).toISOString(),
        stream: 'stdout',
        text: echoed.replace(/^(["'])(.*)\1$/, '$2'),
      });
  }
  return items;
};

/**
 * The log of a simulated main process. No program ran, so the log is computed from the command and the times of the run. Only
 * the newest run has a log.
 */
export const simulatedLog = (
  command: readonly string[],
  run: Run | null,
  { tail, since, cursor }: LogQuery,
  now: number,
): LogPage => {
  const startedAt = run?.startedAt ?? 0;
  const all = run === null ? [] : linesOf(command, startedAt, Math.min(now, run.endedAt ?? now));
  const [, of, count] = CURSOR.exec(cursor ?? '') ?? [];
  if (cursor !== undefined && of === undefined)
    throw new RuntimeError('cursor-invalid', 'The cursor does not belong to this log.');
  const truncated = of !== undefined && Number(of) !== startedAt;
  const from = of === undefined || truncated ? 0 : Number(count);
  const first = Math.max(from, tail === undefined ? 0 : all.length - tail);
  const items = all
    .slice(first, first + PAGE_LINES)
    .filter(({ at }) => since === undefined || Date.parse(at) >= Date.parse(since));
  const end = Math.min(all.length, first + PAGE_LINES);
  return { items, truncated, more: end < all.length, nextCursor: `${startedAt}.${end}` };
};
