import type { LogItem } from '../contract/session.ts';
import type { Client } from './client.ts';
import { ProblemError } from './errors.ts';

/** Polling interval for new output, in milliseconds. */
const POLL_MS = 500;

export interface LogStart {
  readonly idOrName: string;
  /** Number of newest lines. */
  readonly tail?: number;
  /** RFC 3339. */
  readonly since?: string;
  /** Continues after an earlier page. Not with `tail`. */
  readonly cursor?: string;
  readonly signal?: AbortSignal;
}

export interface ReadLog extends LogStart {
  /** Continue until the container has stopped, instead of ending at the current end of the log. */
  readonly follow?: boolean;
}

/** A position in a container's log, which advances with each read. */
export class LogReader {
  readonly #client: Client;
  readonly #start: LogStart;
  #cursor: string | undefined;
  /** Requested output is no longer available. */
  truncated = false;

  constructor(client: Client, start: LogStart) {
    this.#client = client;
    this.#start = start;
    this.#cursor = start.cursor;
  }

  get cursor(): string | undefined {
    return this.#cursor;
  }

  /** Reads from the position to the current end of the log. */
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
 * The output of the main process. With `follow`, the container's state is checked before the last read, so that the final
 * output is not lost.
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
