import { TooBusyError } from '../core/domain/errors.ts';
import { ConditionFailed } from './table.ts';

/** More than one concurrent writer of a container is rare, so this many attempts are enough. */
const DECISIONS = 6;

/**
 * Runs `decide`, which reads, decides and writes, and repeats it while another writer was faster.
 *
 * @throws TooBusyError after too many attempts
 */
export const retryOnConflict = async <T>(decide: () => Promise<T>): Promise<T> => {
  for (let round = 1; ; round += 1) {
    try {
      return await decide();
    } catch (error) {
      if (!(error instanceof ConditionFailed)) throw error;
      if (round === DECISIONS)
        throw new TooBusyError('Other requests keep changing the same container.', { cause: error });
    }
  }
};
