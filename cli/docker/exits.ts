import { setTimeout as sleep } from 'node:timers/promises';
import type { Container } from '../../core/contract/container.ts';
import type { Bridge } from './bridge.ts';
import { FAILED_TO_START } from './translate/state.ts';

/** How a run of a container ended. */
export interface Exit {
  readonly exitCode: number;
}

const SHORT_POLL_MS = 200;
const LONG_POLL_MS = 1_000;
const SHORT_POLLS_FOR_MS = 10_000;

const hasStopped = ({ state, activeOperationId }: Container): boolean =>
  (state === 'Off' || state === 'Failed') && activeOperationId === null;

const exitOf = ({ exitCode, lastError, state }: Container): Exit => ({
  exitCode: exitCode ?? (state === 'Failed' || lastError !== null ? FAILED_TO_START : 0),
});

/**
 * Waits until a container has ended. Polls often at first, because most runs are short.
 * @param after ignore an end in this revision or earlier; null: an earlier end is accepted
 */
export const waitForExit = async (
  bridge: Bridge,
  id: string,
  { after, signal }: { readonly after: number | null; readonly signal: AbortSignal },
): Promise<Exit> => {
  const began = bridge.now;
  let last: Container | undefined;
  for (;;) {
    const container = await bridge.find(id);
    if (container === undefined) return last === undefined ? { exitCode: 0 } : exitOf(last);
    if (hasStopped(container) && (after === null || container.revision > after)) return exitOf(container);
    last = container;
    await sleep(bridge.now - began < SHORT_POLLS_FOR_MS ? SHORT_POLL_MS : LONG_POLL_MS, undefined, {
      signal,
    });
  }
};

/** Waits until the container no longer exists. @returns its last observed end */
export const waitForRemoval = async (bridge: Bridge, id: string, signal: AbortSignal): Promise<Exit> => {
  let seen: Exit = { exitCode: 0 };
  for (;;) {
    const container = await bridge.find(id);
    if (container === undefined) {
      const exitCode = bridge.exitCodeOf(id);
      return exitCode === undefined ? seen : { exitCode };
    }
    if (container.exitCode !== null || hasStopped(container)) seen = exitOf(container);
    await sleep(SHORT_POLL_MS, undefined, { signal });
  }
};
