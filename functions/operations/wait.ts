import { isEnded } from '../../core/domain/operation-state.ts';
import type { OperationRecord } from '../../store/operations.ts';
import type { Dependencies } from '../shared/dependencies.ts';

/** Polling interval in milliseconds: short at first, because most operations take less than a second. */
const FIRST_WAIT_MS = 20;
const LONGEST_WAIT_MS = 500;
/** Bounds the delay of the response to a sixth of the operation's duration. */
const GROWTH = 1.2;

/**
 * Polls an operation until it has ended or the time is over.
 *
 * @param read reads the operation consistently
 * @param seconds maximum time to wait
 * @returns the operation as last read; undefined if it does not exist
 */
export const waitForEnd = async (
  read: () => Promise<OperationRecord | undefined>,
  seconds: number,
  { monotonic, sleep }: Pick<Dependencies, 'monotonic' | 'sleep'>,
): Promise<OperationRecord | undefined> => {
  const until = monotonic() + seconds * 1000;
  for (let wait = FIRST_WAIT_MS; ; wait = Math.min(wait * GROWTH, LONGEST_WAIT_MS)) {
    const operation = await read();
    const left = until - monotonic();
    if (operation === undefined || isEnded(operation.view.state) || left <= 0) return operation;
    await sleep(Math.min(wait, left));
  }
};
