import { TooBusyError } from '../core/domain/errors.ts';
import { ConditionFailed } from './table.ts';

/** More than one other writer of the same container within one transition is rare; so many mean trouble. */
const DECISIONS = 6;

/**
 * Runs `decide`, which reads, decides and writes, again for as long as somebody else was faster.
 *
 * @throws TooBusyError if somebody always was
 */
export const retryOnConflict = async <T>(decide: () => Promise<T>): Promise<T> => {
  for (let round = 1; ; round += 1) {
    try {
      return await decide();
    } catch (error) {
      if (!(error instanceof ConditionFailed)) throw error;
      if (round === DECISIONS)
        throw new TooBusyError('Others keep changing the same container.', { cause: error });
    }
  }
};
