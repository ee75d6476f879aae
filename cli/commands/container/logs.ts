import { type Command, InvalidArgumentError } from 'commander';
import { readLog } from '../../../core/client/index.ts';
import type { LogItem } from '../../../core/contract/session.ts';
import { type Context, withContext } from '../../context.ts';
import type { Io } from '../../io.ts';
import { logText } from '../../output/logs.ts';
import { examples, wholeNumber } from '../options.ts';

interface LogsOptions {
  readonly tail?: number;
  readonly since?: string;
  readonly follow?: true;
  readonly timestamps?: true;
}

/** `10m`, `2h`, `30s`, or a time such as 2026-01-31T09:00:00Z. */
const parseSince =
  (now: () => number) =>
  (text: string): string => {
    const [, count, unit] = /^(\d+)([smhd])$/.exec(text) ?? [];
    const seconds = { s: 1, m: 60, h: 3600, d: 86_400 }[unit ?? ''];
    if (count !== undefined && seconds !== undefined)
      return new Date(now() - Number(count) * seconds * 1000).toISOString();
    const at = Date.parse(text);
    if (!Number.isNaN(at)) return new Date(at).toISOString();
    throw new InvalidArgumentError('Use a time (2026-01-31T09:00:00Z) or a duration (30s, 10m, 2h, 1d).');
  };

const show = (context: Context, item: LogItem, options: LogsOptions): void => {
  const output = item.stream === 'stderr' ? context.io.stderr : context.io.stdout;
  if (context.isJson) context.write(`${JSON.stringify(item)}\n`);
  else output.write(logText(item, options.timestamps === true));
};

export const addLogs = (group: Command, io: Io): void => {
  const command = group
    .command('logs')
    .summary('show the output of the main process of a container')
    .argument('<container>', 'id or name')
    .option('--tail <lines>', 'show only this number of newest lines', wholeNumber(0, 10_000))
    .option(
      '--since <time>',
      'show only output since a time, or for a duration such as 30s, 10m, 2h, 1d',
      parseSince(Date.now),
    )
    .option('-f, --follow', 'also show new output until the container stops')
    .option('-t, --timestamps', 'show the time of each line');
  examples(command, 'bulkhead container logs web --tail 100 --follow').action(
    withContext<[string], LogsOptions>(io, async (context, options, idOrName) => {
      const { tail, since, follow } = options;
      const log = readLog(context.client, { idOrName, tail, since, follow, signal: context.signal });
      try {
        for await (const item of log) show(context, item, options);
      } catch (error) {
        // Ctrl-C is the normal way to stop following.
        if (!context.signal.aborted) throw error;
      }
    }),
  );
};
