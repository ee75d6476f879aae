import type { OutputStream } from '../../core/contract/session.ts';
import type { SessionStream } from '../session.ts';
import type { Bridge } from './bridge.ts';
import { waitForExit } from './exits.ts';
import type { OutputTarget, SentBytes } from './show-log.ts';
import { join } from './streams.ts';

/** After its container has ended, a session without output for this time is closed. */
const SILENCE_MS = 5_000;
/** Polling interval for the end of the container. The session reports it too, so a poll is rarely needed. */
const POLL_MS = 5_000;

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
  const watch = (): void => {
    waitForExit(bridge, containerId, { after: null, signal: over, pollMs: POLL_MS }).then(
      () => {
        ended = true;
        onOutputReceived();
      },
      // A failed request does not mean that the container has ended.
      () => undefined,
    );
  };
  // The session itself reports nearly every end, so the first look can wait.
  const first = setTimeout(watch, POLL_MS);
  over.addEventListener('abort', () => clearTimeout(first));
  return { onOutputReceived };
};

/**
 * Sends the output of a main process to a docker client over a session.
 *
 * @param seen numbers of sent bytes, which are updated
 * @param started resolves when the container has been started
 * @returns whether the session lasted until the client or the process ended, and the exit code of the process
 */
export const showSession = async (
  bridge: Bridge,
  { client, attached, containerId }: OutputTarget,
  session: SessionStream,
  seen: SentBytes,
  started: Promise<unknown> = Promise.resolve(),
): Promise<{ readonly isWhole: boolean; readonly exitCode: number | null }> => {
  const over = new AbortController();
  let onOutputReceived: () => void = () => undefined;
  const watch = (): void => {
    if (!over.signal.aborted)
      onOutputReceived = watchForSilence(bridge, containerId, session, over.signal).onOutputReceived;
  };
  void started.then(watch);
  const count = (stream: OutputStream, bytes: Uint8Array): void => {
    seen[stream] += bytes.length;
    onOutputReceived();
  };
  let hasDisconnected = false;
  void client.closed.then(() => {
    hasDisconnected = true;
  });
  try {
    const { reason, exitCode } = await join(client, session, attached, count);
    const hasExited = reason === 'exited';
    return { isWhole: hasDisconnected || hasExited, exitCode: hasExited ? exitCode : null };
  } finally {
    over.abort();
  }
};
