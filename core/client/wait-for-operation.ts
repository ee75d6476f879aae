import type { Operation } from '../contract/operation.ts';
import type { Client } from './client.ts';
import { OperationFailedError } from './errors.ts';

/** With a progress callback the first polls are short, then longer. Without one each poll is as long as possible. */
const WATCHED_SECONDS = [1, 1, 1, 2, 2, 3, 5] as const;
const MAX_SECONDS = 25;

export interface WaitOptions {
  /** Called with the operation after each poll, including the first and the last. */
  readonly onProgress?: (operation: Operation) => void;
  readonly signal?: AbortSignal;
}

export const hasEnded = ({ state }: Pick<Operation, 'state'>): boolean =>
  state === 'Succeeded' || state === 'Failed' || state === 'Cancelled';

const waitSecondsFor = (poll: number, watched: boolean): number =>
  watched ? (WATCHED_SECONDS[poll] ?? 5) : MAX_SECONDS;

/**
 * Waits until an operation has ended in any state. The operation's deadline also bounds the wait.
 * @param operation the operation, or its id
 */
export const waitForEnd = async (
  client: Client,
  operation: Operation | string,
  { onProgress, signal }: WaitOptions = {},
): Promise<Operation> => {
  const id = typeof operation === 'string' ? operation : operation.id;
  let now: Operation | undefined = typeof operation === 'string' ? undefined : operation;
  for (let poll = 0; ; poll += 1) {
    if (now !== undefined) {
      onProgress?.(now);
      if (hasEnded(now)) return now;
    }
    const waitSeconds = String(waitSecondsFor(poll, onProgress !== undefined));
    const answer = await client.send('getOperation', { params: { id }, query: { waitSeconds }, signal });
    now = answer.body;
    // The API waits for a shorter time if the tenant has used its share.
    if (!hasEnded(now) && answer.retryAfterMs !== undefined)
      await client.effects.sleep(answer.retryAfterMs, signal);
  }
};

/** Like {@link waitForEnd}, but any end other than success is an error. @throws {OperationFailedError} */
export const waitForSuccess = async (
  client: Client,
  operation: Operation | string,
  options: WaitOptions = {},
): Promise<Operation> => {
  const ended = await waitForEnd(client, operation, options);
  if (ended.state !== 'Succeeded') throw new OperationFailedError(ended);
  return ended;
};
