import type { ProblemCode } from '../../../../core/contract/problem.ts';
import type { Clock } from '../../../clock.ts';
import { RuntimeError } from '../../../errors.ts';
import type { ExitStatus } from '../channel/guest-process.ts';
import type { ExitRecord } from './records.ts';

/** Creates the exit records that the agent writes. The helper of a process container writes its own. */
export class ExitRecords {
  readonly #clock: Pick<Clock, 'now'>;

  constructor(clock: Pick<Clock, 'now'>) {
    this.#clock = clock;
  }

  /** @param exitCode null if nothing observed the end */
  of(exitCode: number | null, signal: number, reason?: string): ExitRecord {
    return { exitCode, signal, endedAtMs: this.#clock.now().getTime(), ...(reason ? { reason } : {}) };
  }

  inGuest({ exitCode, signal, outOfMemory }: ExitStatus): ExitRecord {
    return { ...this.of(exitCode, signal), ...(outOfMemory ? { outOfMemory } : {}) };
  }
}

export const describeExit = (exit: ExitRecord | null): string | null => {
  if (exit === null) return null;
  if (exit.outOfMemory) return 'Killed: the container reached its memory limit';
  return exit.signal > 0 ? `Ended by signal ${exit.signal}` : `Ended with exit code ${exit.exitCode}`;
};

/** As in shells and in Docker. */
const EXIT_CODES: Partial<Record<ProblemCode, number>> = {
  'program-not-found': 127,
  'program-not-executable': 126,
};

/** The exit code of a main process that could not be started; null if its program is not the reason. */
export const exitCodeOfFailedStart = (error: unknown): number | null =>
  error instanceof RuntimeError ? (EXIT_CODES[error.code] ?? null) : null;
