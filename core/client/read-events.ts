import type { Event } from '../contract/event.ts';
import type { Client } from './client.ts';

/** Between two looks for new events, in milliseconds: they are no push channel, and each look costs a read. */
const POLL_MS = 1_000;

export interface ReadEvents {
  /** Where to go on; left out, at the oldest that is kept. */
  readonly cursor?: string;
  /** Whether to wait for what comes, for ever, or to end at the last one that is there. */
  readonly follow?: boolean;
  readonly signal?: AbortSignal;
}

/** What happened, in order. An empty page is the end of what is there; its cursor is where the next one will be. */
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

/** The cursor behind the newest event: from there on, only what is new. */
export const endOfEvents = async (client: Client, signal?: AbortSignal): Promise<string | undefined> => {
  let at: string | undefined;
  for (;;) {
    const query = { limit: '200', ...(at === undefined ? {} : { cursor: at }) };
    const page = await client.call('listEvents', { query, signal });
    at = page.nextCursor ?? at;
    if (page.items.length === 0) return at;
  }
};
