import { setTimeout as sleep } from 'node:timers/promises';
import { LogReader } from '../../core/client/index.ts';
import type { OutputStream } from '../../core/contract/session.ts';
import { logBytes } from '../output/logs.ts';
import type { Bridge } from './bridge.ts';
import { waitForExit } from './exits.ts';
import type { AttachedStreams, ClientStream } from './streams.ts';

/** Where the output of a main process is sent. */
export interface OutputTarget {
  readonly containerId: string;
  readonly client: ClientStream;
  readonly attached: AttachedStreams;
  /** Start position in the log; undefined: the start. */
  readonly cursor: string | undefined;
}

/** Number of bytes of each stream that were already sent. */
export type SentBytes = Record<OutputStream, number>;

const POLL_MS = 500;
/** A pause that is no longer awaited does not keep the process alive. */
const pause = () => sleep(POLL_MS, undefined, { ref: false });

/**
 * Sends the output of a main process from its log, until the container has ended.
 * @param seen output that was already sent, which is skipped
 */
export const showLog = async (bridge: Bridge, shown: OutputTarget, seen: SentBytes): Promise<void> => {
  const { client, attached, containerId, cursor } = shown;
  const gone = new AbortController();
  void client.closed.then(() => gone.abort());
  client.ignoreInput();
  let isOver = false;
  const over = waitForExit(bridge, containerId, { after: null, signal: gone.signal })
    .catch(() => undefined)
    .then(() => {
      isOver = true;
    });
  // Usually the container has already ended, so that the log is read only once.
  await Promise.race([over, pause()]);
  const left = { ...seen };
  const reader = new LogReader(bridge.client, { idOrName: containerId, cursor });
  for (let last = false; !last; ) {
    last = isOver;
    for await (const item of reader.rest()) {
      if (gone.signal.aborted) return;
      const bytes = logBytes(item);
      const fresh = bytes.subarray(Math.min(left[item.stream], bytes.length));
      left[item.stream] -= bytes.length - fresh.length;
      if (attached[item.stream] && fresh.length > 0) await client.send(item.stream, fresh);
    }
    if (!last) await Promise.race([over, pause()]);
  }
  if (reader.truncated)
    bridge.settings.log(
      `Container ${containerId} wrote more output than its log keeps, so some output is missing.`,
    );
};
