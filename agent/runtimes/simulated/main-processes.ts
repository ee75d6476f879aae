import type { Cancel, Clock } from '../../clock.ts';
import type { Run, World } from './world.ts';

/** Exit code of a killed process: 128 + SIGKILL. A process that stops when asked has exit code 0. */
export const FORCED_EXIT_CODE = 137;

/** The longest delay that a timer supports, in milliseconds. */
export const LONGEST_WAIT_MS = 2 ** 31 - 1;
/** Number of runs to record per container. A repeated start is recognized by its record. */
const REMEMBERED_RUNS = 100;

/**
 * The main processes of the simulated machine. A run is stored at its start, together with its end time, so that it ends even
 * if no agent runs. The first access after that time records the end.
 */
export class MainProcesses {
  readonly #world: World;
  readonly #clock: Clock;
  readonly #timers = new Map<string, Cancel>();
  readonly #listeners: ((containerId: string) => void)[] = [];
  readonly #onEnd: (id: string, exitCode: number) => void;

  /** @param onEnd called when a run ends, by itself or on request */
  constructor(world: World, clock: Clock, onEnd: (id: string, exitCode: number) => void = () => undefined) {
    this.#onEnd = onEnd;
    this.#world = world;
    this.#clock = clock;
    for (const { id, run } of world.containers())
      if (run?.endedAt === null && run.endsAt !== null) this.#watch(id, run.endsAt);
  }

  onExit(listener: (containerId: string) => void): void {
    this.#listeners.push(listener);
  }

  begin(id: string, run: Run): void {
    this.#world.change(id, ({ runs }) => ({
      run,
      runs: [...runs, run.instanceId].slice(-REMEMBERED_RUNS),
    }));
    if (run.endsAt !== null) this.#watch(id, run.endsAt);
  }

  /** Ends the current run, if any, on request. */
  end(id: string, exitCode: number, exitReason: string): void {
    this.#timers.get(id)?.();
    this.#timers.delete(id);
    this.#world.change(id, ({ run, utilityVm }) =>
      run === null || run.endedAt !== null
        ? {}
        : {
            run: { ...run, endedAt: this.#clock.now().getTime(), exitCode, exitReason },
            utilityVm: utilityVm === 'Absent' ? utilityVm : 'Spent',
          },
    );
    this.#onEnd(id, exitCode);
  }

  /** Ends the run as if it had ended by itself, and notifies listeners. */
  exit(id: string, exitCode: number): void {
    if (this.#world.container(id)?.run?.endedAt !== null) return;
    this.end(id, exitCode, `The main process ended with exit code ${exitCode}.`);
    for (const listener of this.#listeners) listener(id);
  }

  /** Ends a run whose end time has passed, and notifies listeners. */
  settle(id: string): void {
    const run = this.#world.container(id)?.run;
    if (!run || run.endedAt !== null || run.endsAt === null) return;
    if (this.#clock.now().getTime() < run.endsAt) return;
    this.exit(id, run.endsWith);
  }

  close(): void {
    for (const cancel of this.#timers.values()) cancel();
    this.#timers.clear();
  }

  #watch(id: string, endsAt: number): void {
    this.#timers.get(id)?.();
    const waitMs = Math.min(Math.max(0, endsAt - this.#clock.now().getTime()), LONGEST_WAIT_MS);
    const look = (): void => {
      this.settle(id);
      // A timer may fire a millisecond early, or the end may be later than the longest timer.
      if (this.#world.container(id)?.run?.endedAt === null) this.#watch(id, endsAt);
    };
    this.#timers.set(id, this.#clock.after(waitMs, look));
  }
}
