import { isEnded } from '../../core/domain/operation-state.ts';
import type { OperationRecord } from '../../store/records.ts';
import type { Dependencies } from '../shared/dependencies.ts';

/** Between two looks, in milliseconds: short at first, because most operations take less than a second. */
const FIRST_WAIT_MS = 20;
const LONGEST_WAIT_MS = 500;
/** An end is seen at the most a sixth of the time later that the operation took. */
const GROWTH = 1.2;

/**
 * Looks at an operation until it has ended or the time is over.
 *
 * @param read the operation as it stands now
 * @param seconds how long to wait at the most
 * @returns the operation as it was last seen; undefined if there is none
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
