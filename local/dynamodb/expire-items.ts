/**
 * Time to live. dynoxide deletes expired items only when its sweep tool is called, over its management endpoint
 * (Model Context Protocol). A sweep reads the whole table (5 ms per 1,000 items here) while other calls wait, so
 * the pause between two grows with what the last one took. AWS itself promises deletion within days only.
 */
import type { Clock, Log } from '../engine.ts';
import { ServiceError } from '../errors.ts';

const shortestPauseMs = 30_000;
/** At most this share of time goes into sweeping. */
const share = 1 / 200;

export interface Sweeper {
  /** One sweep now. @throws ServiceError when the endpoint refuses. */
  sweep(): Promise<void>;
  start(): void;
  stop(): void;
}

export const createSweeper = (deps: {
  readonly clock: Clock;
  readonly log: Log;
  readonly management: () => { readonly url: string; readonly token: string };
}): Sweeper => {
  const { clock, log } = deps;
  let cancel: (() => void) | undefined;
  let stopped = false;

  const post = async (session: string | null, message: object): Promise<string | null> => {
    const { url, token } = deps.management();
    const response = await fetch(url, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
        authorization: `Bearer ${token}`,
        ...(session !== null && { 'mcp-session-id': session }),
      },
      body: JSON.stringify({ jsonrpc: '2.0', ...message }),
      signal: AbortSignal.timeout(60_000),
    });
    const text = await response.text();
    if (!response.ok || text.includes('"isError":true')) {
      throw new ServiceError('SweepFailed', text.slice(0, 200), response.status);
    }
    return response.headers.get('mcp-session-id') ?? session;
  };

  const sweep = async (): Promise<void> => {
    const clientInfo = { name: 'bulkhead', version: '1' };
    const params = { protocolVersion: '2025-03-26', capabilities: {}, clientInfo };
    const session = await post(null, { id: 1, method: 'initialize', params });
    await post(session, { method: 'notifications/initialized', params: {} });
    await post(session, { id: 2, method: 'tools/call', params: { name: 'sweep_ttl', arguments: {} } });
  };

  const schedule = (pauseMs: number): void => {
    if (stopped) return;
    cancel = clock.after(pauseMs, () => {
      const begun = clock.now();
      sweep()
        .catch((error: unknown) => log.warn('sweep of expired items failed', { error: String(error) }))
        .finally(() => schedule(Math.max(shortestPauseMs, (clock.now() - begun) / share)));
    });
  };

  return {
    sweep,
    start: () => schedule(shortestPauseMs),
    stop: () => {
      stopped = true;
      cancel?.();
    },
  };
};
