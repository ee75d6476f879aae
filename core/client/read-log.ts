import type { LogItem } from '../contract/session.ts';
import type { Client } from './client.ts';
import { ProblemError } from './errors.ts';

/** Between two looks for new output, in milliseconds. */
const POLL_MS = 500;

export interface ReadLog {
  readonly idOrName: string;
  /** The newest so many lines. */
  readonly tail?: number;
  /** RFC 3339. */
  readonly since?: string;
  /** Behind an earlier page; then without `tail`. */
  readonly cursor?: string;
  /** Go on until the container has stopped, in place of ending where the log ends now. */
  readonly follow?: boolean;
  readonly signal?: AbortSignal;
}

const ended = async (client: Client, idOrName: string, signal?: AbortSignal): Promise<boolean> => {
  try {
    const { state } = await client.call('getContainer', { params: { idOrName }, signal });
    return state === 'Off' || state === 'Failed';
  } catch (error) {
    if (error instanceof ProblemError && error.code === 'not-found') return true;
    throw error;
  }
};

/**
 * What the main process wrote, page after page. With `follow`, whether it has stopped is asked before the last page
 * is read, so that what it said at its end is not lost.
 */
export async function* readLog(client: Client, options: ReadLog): AsyncGenerator<LogItem, void, undefined> {
  const { idOrName, tail, since, cursor, follow = false, signal } = options;
  const first = { since, cursor, ...(tail === undefined ? {} : { tail: String(tail) }) };
  let query: { tail?: string; since?: string; cursor?: string } = first;
  for (;;) {
    const last = follow ? await ended(client, idOrName, signal) : true;
    let page = await client.call('getContainerLogs', { params: { idOrName }, query, signal });
    yield* page.items;
    while (page.more) {
      page = await client.call('getContainerLogs', {
        params: { idOrName },
        query: { cursor: page.nextCursor },
        signal,
      });
      yield* page.items;
    }
    if (last) return;
    query = { cursor: page.nextCursor };
    await client.effects.sleep(POLL_MS, signal);
  }
}
