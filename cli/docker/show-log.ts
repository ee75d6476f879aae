import { setTimeout as sleep } from 'node:timers/promises';
import { LogReader } from '../../core/client/index.ts';
import { logBytes } from '../output/logs.ts';
import type { SessionStream } from '../session.ts';
import type { Bridge } from './bridge.ts';
import { untilExit } from './exits.ts';
import type { ClientStream, Joining } from './streams.ts';

/**
 * Shows a main process without a terminal to a docker client: all that it writes, in order, none lost.
 *
 * A session on a main process drops what nobody reads in time, for the process must not wait for a reader. Its log
 * keeps everything, as far as it reaches. So the bytes come from the log, and the session, which carries the input,
 * tells when there is something new, and when it is over: its last words are in the log before its exit is told.
 * The container is looked at as well: a session that joined a process in the moment of its end may never hear of it.
 */
export interface Shown {
  readonly containerId: string;
  readonly client: ClientStream;
  readonly joining: Joining;
  /** Where in the log it begins; undefined: at the beginning. */
  readonly cursor: string | undefined;
}

/** Looked at after so long at the latest: a bell may have been missed when the connection was cut. */
const LATEST_MS = 5_000;
const WITHOUT_BELL_MS = 500;

/** A bell that is heard by who comes later, too: once. */
class Bell {
  #ring: () => void = () => undefined;
  #rung = false;

  ring(): void {
    this.#rung = true;
    this.#ring();
  }

  async heard(milliseconds: number): Promise<void> {
    if (!this.#rung) {
      const rung = new Promise<void>((resolve) => {
        this.#ring = resolve;
      });
      const stop = new AbortController();
      await Promise.race([
        rung,
        sleep(milliseconds, undefined, { signal: stop.signal }).catch(() => undefined),
      ]);
      stop.abort();
    }
    this.#rung = false;
  }
}

const watch = (bridge: Bridge, shown: Shown, session: SessionStream | undefined, over: AbortSignal) => {
  const bell = new Bell();
  const state = { isOver: false };
  const finish = (): void => {
    state.isOver = true;
    bell.ring();
  };
  const look = (): Promise<unknown> => untilExit(bridge, shown.containerId, { after: null, signal: over });
  // That it could not be looked at is no end, as long as there is a session to tell of one.
  look().then(finish, session === undefined ? finish : () => undefined);
  const heard = ({ reason }: Awaited<SessionStream['exit']>): void => {
    if (reason === 'exited' || reason === 'closed') finish();
  };
  session?.exit.then(heard, () => undefined);
  session?.onOutput(() => bell.ring());
  return { bell, state };
};

/** @param session on the main process; undefined where there is none to be had */
export const showLog = async (
  bridge: Bridge,
  shown: Shown,
  session: SessionStream | undefined,
): Promise<void> => {
  const { client, joining, containerId, cursor } = shown;
  const gone = new AbortController();
  void client.closed.then(() => {
    gone.abort();
    session?.close();
  });
  if (joining.stdin && session !== undefined) client.pipeInput(session);
  else client.ignoreInput();
  const { bell, state } = watch(bridge, shown, session, gone.signal);
  const reader = new LogReader(bridge.client, { idOrName: containerId, cursor, signal: gone.signal });
  for (let last = false; !last; ) {
    last = state.isOver;
    for await (const item of reader.rest())
      if (joining[item.stream]) await client.send(item.stream, logBytes(item));
    if (!last) await bell.heard(session === undefined ? WITHOUT_BELL_MS : LATEST_MS);
  }
  if (reader.truncated)
    bridge.settings.log(`Container ${containerId} wrote more than its log keeps: some is missing.`);
};
