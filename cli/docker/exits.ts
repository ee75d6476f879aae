import { setTimeout as sleep } from 'node:timers/promises';
import type { Container } from '../../core/contract/container.ts';
import type { Bridge } from './bridge.ts';
import { FAILED_TO_START } from './translate/state.ts';

/** How a run of a container has ended. */
export interface Exit {
  readonly exitCode: number;
}

const SOON_MS = 200;
const LATER_MS = 1_000;
const SOON_FOR_MS = 10_000;

const isAtRest = ({ state, activeOperationId }: Container): boolean =>
  (state === 'Off' || state === 'Failed') && activeOperationId === null;

const exitOf = ({ exitCode, lastError, state }: Container): Exit => ({
  exitCode: exitCode ?? (state === 'Failed' || lastError !== null ? FAILED_TO_START : 0),
});

/**
 * Waits until `container` has ended, by polling: often at first, because most runs are short.
 * @param after only an end in a later revision counts; null: it may have ended already
 */
export const untilExit = async (
  bridge: Bridge,
  id: string,
  { after, signal }: { readonly after: number | null; readonly signal: AbortSignal },
): Promise<Exit> => {
  const began = bridge.now;
  let last: Container | undefined;
  for (;;) {
    const container = await bridge.find(id);
    if (container === undefined) return last === undefined ? { exitCode: 0 } : exitOf(last);
    if (isAtRest(container) && (after === null || container.revision > after)) return exitOf(container);
    last = container;
    await sleep(bridge.now - began < SOON_FOR_MS ? SOON_MS : LATER_MS, undefined, { signal });
  }
};

/** Waits until the container no longer exists. @returns how it ended, if that was observed */
export const untilRemoved = async (bridge: Bridge, id: string, signal: AbortSignal): Promise<Exit> => {
  let seen: Exit = { exitCode: 0 };
  for (;;) {
    const container = await bridge.find(id);
    if (container === undefined) {
      const exitCode = bridge.exitCodeOf(id);
      return exitCode === undefined ? seen : { exitCode };
    }
    if (container.exitCode !== null || isAtRest(container)) seen = exitOf(container);
    await sleep(SOON_MS, undefined, { signal });
  }
};
