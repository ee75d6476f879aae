import type { Operation } from '../contract/operation.ts';
import type { Client } from './client.ts';
import { OperationFailedError } from './errors.ts';

/** With somebody who watches the steps, the first looks are short, then longer; without, as long as may be. */
const WATCHED_SECONDS = [1, 1, 1, 2, 2, 3, 5] as const;
const LONGEST_SECONDS = 25;

export interface WaitOptions {
  /** Told of the operation each time that it was looked at, the first and the last time included. */
  readonly onProgress?: (operation: Operation) => void;
  readonly signal?: AbortSignal;
}

export const hasEnded = ({ state }: Pick<Operation, 'state'>): boolean =>
  state === 'Succeeded' || state === 'Failed' || state === 'Cancelled';

const secondsOf = (look: number, watched: boolean): number =>
  watched ? (WATCHED_SECONDS[look] ?? 5) : LONGEST_SECONDS;

/**
 * Waits until an operation has ended, in whichever way. It ends by its own deadline, so the wait does too.
 * @param operation as it was answered, or its id
 */
export const waitForEnd = async (
  client: Client,
  operation: Operation | string,
  { onProgress, signal }: WaitOptions = {},
): Promise<Operation> => {
  const id = typeof operation === 'string' ? operation : operation.id;
  let now: Operation | undefined = typeof operation === 'string' ? undefined : operation;
  for (let look = 0; ; look += 1) {
    if (now !== undefined) {
      onProgress?.(now);
      if (hasEnded(now)) return now;
    }
    const waitSeconds = String(secondsOf(look, onProgress !== undefined));
    const answer = await client.send('getOperation', { params: { id }, query: { waitSeconds }, signal });
    now = answer.body;
    // The API waits for a shorter time where the tenant has taken its share.
    if (!hasEnded(now) && answer.retryAfterMs !== undefined)
      await client.effects.sleep(answer.retryAfterMs, signal);
  }
};

/** {@link waitForEnd}, where nothing but success will do. @throws {OperationFailedError} */
export const waitForSuccess = async (
  client: Client,
  operation: Operation | string,
  options: WaitOptions = {},
): Promise<Operation> => {
  const ended = await waitForEnd(client, operation, options);
  if (ended.state !== 'Succeeded') throw new OperationFailedError(ended);
  return ended;
};
