import type { OutputStream } from '../../core/contract/session.ts';
import type { SessionStream } from '../session.ts';
import type { Bridge } from './bridge.ts';
import { waitForExit } from './exits.ts';
import type { OutputTarget, SentBytes } from './show-log.ts';
import { join } from './streams.ts';

/** After its container has ended, a session without output for this time is closed. */
const SILENCE_MS = 5_000;

/** Closes a session that attached while the process was ending, and therefore gets no exit. */
const watchForSilence = (
  bridge: Bridge,
  containerId: string,
  session: SessionStream,
  over: AbortSignal,
): { readonly onOutputReceived: () => void } => {
  let ended = false;
  let timer: NodeJS.Timeout | undefined;
  const onOutputReceived = (): void => {
    clearTimeout(timer);
    if (ended && !over.aborted) timer = setTimeout(() => session.close(), SILENCE_MS);
  };
  over.addEventListener('abort', () => clearTimeout(timer));
  waitForExit(bridge, containerId, { after: null, signal: over }).then(
    () => {
      ended = true;
      onOutputReceived();
    },
    // A failed request does not mean that the container has ended.
    () => undefined,
  );
  return { onOutputReceived };
};

/**
 * Sends the output of a main process to a docker client over a session.
 *
 * @param seen numbers of sent bytes, which are updated
 * @returns whether the session lasted until the client or the process ended
 */
export const showSession = async (
  bridge: Bridge,
  { client, attached, containerId }: OutputTarget,
  session: SessionStream,
  seen: SentBytes,
): Promise<{ readonly isWhole: boolean }> => {
  const over = new AbortController();
  const { onOutputReceived } = watchForSilence(bridge, containerId, session, over.signal);
  const count = (stream: OutputStream, bytes: Uint8Array): void => {
    seen[stream] += bytes.length;
    onOutputReceived();
  };
  let hasDisconnected = false;
  void client.closed.then(() => {
    hasDisconnected = true;
  });
  try {
    const { reason } = await join(client, session, attached, count);
    return { isWhole: hasDisconnected || reason === 'exited' };
  } finally {
    over.abort();
  }
};
