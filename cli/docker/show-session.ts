import type { OutputStream } from '../../core/contract/session.ts';
import type { SessionStream } from '../session.ts';
import type { Bridge } from './bridge.ts';
import { untilExit } from './exits.ts';
import type { Seen, Shown } from './show-log.ts';
import { join } from './streams.ts';

/** A session without a message for this long after its container ended is considered dead. */
const DEAF_MS = 5_000;

/** Ends a session that attached just when the process ended and gets no exit. */
const watchForDeafness = (
  bridge: Bridge,
  containerId: string,
  session: SessionStream,
  over: AbortSignal,
): { readonly heard: () => void } => {
  let ended = false;
  let timer: NodeJS.Timeout | undefined;
  const heard = (): void => {
    clearTimeout(timer);
    if (ended && !over.aborted) timer = setTimeout(() => session.close(), DEAF_MS);
  };
  over.addEventListener('abort', () => clearTimeout(timer));
  untilExit(bridge, containerId, { after: null, signal: over }).then(
    () => {
      ended = true;
      heard();
    },
    // A failed read does not mean that it ended.
    () => undefined,
  );
  return { heard };
};

/**
 * Sends the output of a main process to a docker client over a session.
 *
 * @param seen number of sent bytes, updated
 * @returns whether the session lasted until the client or the process ended
 */
export const showSession = async (
  bridge: Bridge,
  { client, joining, containerId }: Shown,
  session: SessionStream,
  seen: Seen,
): Promise<{ readonly isWhole: boolean }> => {
  const over = new AbortController();
  const { heard } = watchForDeafness(bridge, containerId, session, over.signal);
  const count = (stream: OutputStream, bytes: Uint8Array): void => {
    seen[stream] += bytes.length;
    heard();
  };
  let hasGone = false;
  void client.closed.then(() => {
    hasGone = true;
  });
  try {
    const { reason } = await join(client, session, joining, count);
    return { isWhole: hasGone || reason === 'exited' };
  } finally {
    over.abort();
  }
};
