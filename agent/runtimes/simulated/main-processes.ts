import type { Cancel, Clock } from '../../clock.ts';
import type { Run, World } from './world.ts';

/** Exit code of a process that was forced to end: 128 + SIGKILL. One that ends when asked ends with 0. */
export const FORCED_EXIT_CODE = 137;

/** The longest wait that a timer takes, in milliseconds. */
export const LONGEST_WAIT_MS = 2 ** 31 - 1;
/** Of each container, the newest runs are remembered: enough to know one that is asked for again. */
const REMEMBERED_RUNS = 100;

/**
 * The main processes of the simulated machine: runs that end by the clock, with or without an observer. A run is in the
 * world from its start on, with the moment of its end; when that has come, the first to look ends it.
 */
export class MainProcesses {
  readonly #world: World;
  readonly #clock: Clock;
  readonly #timers = new Map<string, Cancel>();
  readonly #listeners: ((containerId: string) => void)[] = [];
  readonly #onEnd: (id: string, exitCode: number) => void;

  /** @param onEnd told of every end, by itself or because somebody wanted it */
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

  /** Ends the run, if there is one, because somebody wants it to. */
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

  /** Ends the run as if on its own, and notifies listeners. */
  exit(id: string, exitCode: number): void {
    if (this.#world.container(id)?.run?.endedAt !== null) return;
    this.end(id, exitCode, `The main process ended with exit code ${exitCode}.`);
    for (const listener of this.#listeners) listener(id);
  }

  /** Ends a run whose time has come, and tells of it. */
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
      // A timer may be early by a millisecond, or the end further away than a timer reaches.
      if (this.#world.container(id)?.run?.endedAt === null) this.#watch(id, endsAt);
    };
    this.#timers.set(id, this.#clock.after(waitMs, look));
  }
}
