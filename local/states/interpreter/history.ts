import type { JsonObject } from '../json.ts';
import { StateFailure } from '../state-failure.ts';
import { childExecutionOf } from './frames.ts';
import type { Execution, Frame } from './model.ts';

/** AWS's quota on an execution's history. */
const MAX_EVENTS = 25_000;

const CLOSING = new Set(['ExecutionSucceeded', 'ExecutionFailed', 'ExecutionTimedOut', 'ExecutionAborted']);

/**
 * Appends an event to a frame's history.
 * @param chain false if the next event must not refer to this one as its previous event
 * @returns the event's id
 */
export const record = (
  execution: Execution,
  frame: Frame,
  now: number,
  type: string,
  details: JsonObject | null = null,
  chain = true,
): number => {
  const child = childExecutionOf(execution, frame);
  if (child && child.ownEvents !== null) {
    child.ownEvents++;
    execution.dirty.add(child.id);
    if (chain) frame.lastEvent = child.ownEvents;
    return child.ownEvents;
  }
  if (execution.eventCount >= MAX_EVENTS - 1 && !CLOSING.has(type)) {
    throw new StateFailure(
      'States.Runtime',
      `The execution reached the maximum number of history events (${MAX_EVENTS}).`,
    );
  }
  const id = ++execution.eventCount;
  execution.events.push({ id, previousEventId: frame.lastEvent, timestamp: now, type, details });
  if (chain) frame.lastEvent = id;
  return id;
};
