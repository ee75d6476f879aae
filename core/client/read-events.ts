import type { Event } from '../contract/event.ts';
import type { Client } from './client.ts';

/** Polling interval for new events, in milliseconds. Each poll costs a read. */
const POLL_MS = 1_000;

export interface ReadEvents {
  /** Cursor to continue from. @default the oldest event that is kept */
  readonly cursor?: string;
  /** Whether to wait for new events indefinitely, or to end after the last one. */
  readonly follow?: boolean;
  readonly signal?: AbortSignal;
}

/** Events in order. An empty page means that there are no further events yet. Its cursor is the position of the next one. */
export async function* readEvents(
  client: Client,
  { cursor, follow = false, signal }: ReadEvents = {},
): AsyncGenerator<Event, void, undefined> {
  let at = cursor;
  for (;;) {
    const query = { limit: '200', ...(at === undefined ? {} : { cursor: at }) };
    const page = await client.call('listEvents', { query, signal });
    yield* page.items;
    at = page.nextCursor ?? at;
    if (page.items.length > 0) continue;
    if (!follow) return;
    await client.effects.sleep(POLL_MS, signal);
  }
}

/** The cursor after the newest event. */
export const endOfEvents = async (client: Client, signal?: AbortSignal): Promise<string | undefined> =>
  (await client.call('listEvents', { query: { from: 'end' }, signal })).nextCursor ?? undefined;
