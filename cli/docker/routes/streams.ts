import { readLog } from '../../../core/client/index.ts';
import type { LogItem } from '../../../core/contract/session.ts';
import { logBytes, logText } from '../../output/logs.ts';
import { DetachKeys } from '../detach-keys.ts';
import { DockerError } from '../errors.ts';
import { contentTypeOf, frame } from '../frames.ts';
import { ClientStream } from '../streams.ts';
import { isRunning } from '../translate/state.ts';
import { isTrue, parseTime } from '../translate/time.ts';
import { type Handle, route } from './route.ts';

const attach: Handle = async ({ bridge, runs }, exchange) => {
  const { query } = exchange;
  const container = await bridge.createdOrCurrent(exchange.params.id ?? '');
  const flag = (name: string): boolean => isTrue(query.get(name));
  const detach = container.tty ? { detachKeys: new DetachKeys(query.get('detachKeys') ?? '') } : {};
  const attached = { stdin: flag('stdin'), stdout: flag('stdout'), stderr: flag('stderr'), ...detach };
  const socket = exchange.hijack(contentTypeOf(container.tty, exchange.version));
  const client = new ClientStream(socket, container.tty);
  if (!flag('stream')) {
    // As in docker: only the output so far.
    const items = flag('logs')
      ? readLog(bridge.client, { idOrName: container.id, signal: exchange.signal })
      : [];
    for await (const item of items) if (attached[item.stream]) await client.send(item.stream, logBytes(item));
    return client.end();
  }
  if (isRunning(container)) await runs.attach(container, client, attached, flag('logs'));
  else runs.waitForStart(container, client, attached);
};

const MAX_TAIL = 10_000;

const tailOf = (text: string | null): number | undefined => {
  if (text === null || text === '' || text === 'all') return undefined;
  const lines = Number(text);
  // Docker treats any value other than a number as `all`.
  return Number.isInteger(lines) && lines >= 0 ? Math.min(lines, MAX_TAIL) : undefined;
};

const logs: Handle = async ({ bridge }, exchange) => {
  const { query, signal } = exchange;
  const container = await bridge.container(exchange.params.id ?? '');
  const shown = { stdout: isTrue(query.get('stdout')), stderr: isTrue(query.get('stderr')) };
  if (!shown.stdout && !shown.stderr)
    throw new DockerError(400, 'Bad parameters: you must choose at least one stream');
  const since = parseTime(query.get('since'));
  const until = parseTime(query.get('until'));
  const follow = isTrue(query.get('follow'));
  const timestamps = isTrue(query.get('timestamps'));
  const log = readLog(bridge.client, {
    idOrName: container.id,
    tail: tailOf(query.get('tail')),
    since: since === undefined ? undefined : new Date(since).toISOString(),
    follow,
    signal,
  });
  // The first page is fetched before the headers are sent, so that an error can still be the response. A container that is
  // followed may write nothing for long.
  const first = follow ? undefined : await log.next();
  const write = exchange.stream(contentTypeOf(container.tty, exchange.version));
  const send = (item: LogItem): Promise<void> => {
    const bytes = logText(item, timestamps);
    return write(container.tty ? bytes : frame(item.stream, bytes));
  };
  try {
    for (let next = first ?? (await log.next()); next.done !== true; next = await log.next()) {
      const item = next.value;
      if (until !== undefined && Date.parse(item.at) > until) return;
      if (shown[item.stream]) await send(item);
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
};

export const STREAM_ROUTES = [
  route('POST', '/containers/{id}/attach', attach),
  route('GET', '/containers/{id}/logs', logs, { details: 'logs --details' }),
];
