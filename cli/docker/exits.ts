import { type EventEmitter, once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Container, ContainerSummary } from '../../core/contract/container.ts';
import type { Bridge } from './bridge.ts';
import { AUTO_REMOVE_LABEL } from './translate/labels.ts';
import { FAILED_TO_START } from './translate/state.ts';

type Observed = ContainerSummary & Partial<Pick<Container, 'lastRun'>>;

/** How a run of a container ended. */
export interface Exit {
  readonly exitCode: number;
}

const FIRST_POLL_MS = 20;
const SHORT_POLL_MS = 200;
const LONG_POLL_MS = 1_000;
const SHORT_POLLS_FOR_MS = 10_000;
const GROWTH = 1.5;

const hasStopped = (container: Observed): boolean =>
  (container.state === 'Off' || container.state === 'Failed') &&
  container.activeOperationId === null &&
  container.lastRun?.restarting !== true;

const exitOf = ({ exitCode, lastError, state }: Observed): Exit => ({
  exitCode: exitCode ?? (state === 'Failed' || lastError !== null ? FAILED_TO_START : 0),
});

interface Wait {
  /** Ignore an end in this revision or earlier; null: an earlier end is accepted. */
  readonly after: number | null;
  readonly signal: AbortSignal;
  /** The container, if it was just read. */
  readonly seen?: Observed | undefined;
  /** Polling interval in milliseconds. Default: short at first, because most runs are short. */
  readonly pollMs?: number;
}

/**
 * Waits until a container has ended. A session of this bridge reports the end of its container, a moment before the API does.
 * Without such a report, the API is polled.
 */
export const waitForExit = async (
  bridge: Bridge,
  id: string,
  { after, signal, seen, pollMs }: Wait,
): Promise<Exit> => {
  const began = bridge.now;
  let quickMs: number | undefined;
  let last: Observed | undefined;
  for (let next = seen; ; next = undefined) {
    const container = next ?? (await bridge.find(id));
    if (container === undefined) return last === undefined ? { exitCode: 0 } : exitOf(last);
    if (hasStopped(container) && (after === null || container.revision > after)) return exitOf(container);
    last = container;
    const slowMs = pollMs ?? (bridge.now - began < SHORT_POLLS_FOR_MS ? SHORT_POLL_MS : LONG_POLL_MS);
    if (quickMs !== undefined) quickMs *= GROWTH;
    const isNoticed = await noticed(bridge.ended, id, Math.min(quickMs ?? slowMs, slowMs), signal);
    if (isNoticed) quickMs = FIRST_POLL_MS;
  }
};

/** Waits for an event of the container, for at most `ms`. @returns whether it came */
const noticed = async (
  events: EventEmitter,
  id: string,
  ms: number,
  signal: AbortSignal,
): Promise<boolean> => {
  const over = new AbortController();
  const either = AbortSignal.any([signal, over.signal]);
  const notice = once(events, id, { signal: either }).then(() => true);
  const timer = sleep(ms, false, { signal: either });
  for (const one of [notice, timer]) one.catch(() => undefined);
  try {
    return await Promise.race([notice, timer]);
  } finally {
    over.abort();
  }
};

/** Waits until the container no longer exists. @returns its last observed end */
export const waitForRemoval = async (
  bridge: Bridge,
  id: string,
  signal: AbortSignal,
  seen?: Observed,
): Promise<Exit> => {
  let exit: Exit = { exitCode: 0 };
  for (let next = seen; ; next = undefined) {
    const container = next ?? (bridge.hasRemoved(id) ? undefined : await bridge.find(id));
    if (container === undefined) {
      const exitCode = bridge.exitCodeOf(id);
      return exitCode === undefined ? exit : { exitCode };
    }
    if (container.exitCode !== null || hasStopped(container)) exit = exitOf(container);
    // The bridge removes its own containers, and notices that.
    const isOwn = container.labels[AUTO_REMOVE_LABEL] !== undefined;
    await noticed(bridge.removed, id, isOwn ? LONG_POLL_MS : SHORT_POLL_MS, signal);
  }
};
