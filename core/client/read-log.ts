import type { LogItem } from '../contract/session.ts';
import type { Client } from './client.ts';
import { ProblemError } from './errors.ts';

/** Between two looks for new output, in milliseconds. */
const POLL_MS = 500;

export interface LogStart {
  readonly idOrName: string;
  /** The newest so many lines. */
  readonly tail?: number;
  /** RFC 3339. */
  readonly since?: string;
  /** Behind an earlier page; then without `tail`. */
  readonly cursor?: string;
  readonly signal?: AbortSignal;
}

export interface ReadLog extends LogStart {
  /** Go on until the container has stopped, in place of ending where the log ends now. */
  readonly follow?: boolean;
}

/** A place in a container's log, from which on it is read; it moves with what has been read. */
export class LogReader {
  readonly #client: Client;
  readonly #start: LogStart;
  #cursor: string | undefined;
  /** Output that was asked for was not kept any more. */
  truncated = false;

  constructor(client: Client, start: LogStart) {
    this.#client = client;
    this.#start = start;
    this.#cursor = start.cursor;
  }

  get cursor(): string | undefined {
    return this.#cursor;
  }

  /** From here to where the log ends now. */
  async *rest(): AsyncGenerator<LogItem, void, undefined> {
    const { idOrName, tail, since, signal } = this.#start;
    const first = { since, ...(tail === undefined ? {} : { tail: String(tail) }) };
    for (let more = true; more; ) {
      const query = this.#cursor === undefined ? first : { cursor: this.#cursor };
      const page = await this.#client.call('getContainerLogs', { params: { idOrName }, query, signal });
      this.#cursor = page.nextCursor;
      this.truncated ||= page.truncated;
      more = page.more;
      yield* page.items;
    }
  }
}

const hasEnded = async (client: Client, idOrName: string, signal?: AbortSignal): Promise<boolean> => {
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
export async function* readLog(
  client: Client,
  { follow = false, ...start }: ReadLog,
): AsyncGenerator<LogItem, void, undefined> {
  const reader = new LogReader(client, start);
  for (;;) {
    const last = follow ? await hasEnded(client, start.idOrName, start.signal) : true;
    yield* reader.rest();
    if (last) return;
    await client.effects.sleep(POLL_MS, start.signal);
  }
}
