import { setTimeout as sleep } from 'node:timers/promises';
import { LogReader } from '../../core/client/index.ts';
import type { OutputStream } from '../../core/contract/session.ts';
import { logBytes } from '../output/logs.ts';
import type { Bridge } from './bridge.ts';
import { untilExit } from './exits.ts';
import type { ClientStream, Joining } from './streams.ts';

/** How the output of a main process is sent to a docker client. */
export interface Shown {
  readonly containerId: string;
  readonly client: ClientStream;
  readonly joining: Joining;
  /** Start position in the log; undefined: the start. */
  readonly cursor: string | undefined;
}

/** Bytes of each stream that were already sent. */
export type Seen = Record<OutputStream, number>;

const LOOK_MS = 500;

/**
 * Sends the output of a main process from its log, until the container has ended.
 * @param seen output to skip
 */
export const showLog = async (bridge: Bridge, shown: Shown, seen: Seen): Promise<void> => {
  const { client, joining, containerId, cursor } = shown;
  const gone = new AbortController();
  void client.closed.then(() => gone.abort());
  client.ignoreInput();
  let isOver = false;
  const over = untilExit(bridge, containerId, { after: null, signal: gone.signal })
    .catch(() => undefined)
    .then(() => {
      isOver = true;
    });
  // Usually it has ended already, and the log is read once.
  await Promise.race([over, sleep(LOOK_MS)]);
  const left = { ...seen };
  const reader = new LogReader(bridge.client, { idOrName: containerId, cursor });
  for (let last = false; !last; ) {
    last = isOver;
    for await (const item of reader.rest()) {
      if (gone.signal.aborted) return;
      const bytes = logBytes(item);
      const fresh = bytes.subarray(Math.min(left[item.stream], bytes.length));
      left[item.stream] -= bytes.length - fresh.length;
      if (joining[item.stream] && fresh.length > 0) await client.send(item.stream, fresh);
    }
    if (!last) await Promise.race([over, sleep(LOOK_MS)]);
  }
  if (reader.truncated)
    bridge.settings.log(`Container ${containerId} wrote more than its log keeps: some output is missing.`);
};
