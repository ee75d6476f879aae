/**
 * The workers of one function. Grows on demand up to its concurrency and queues beyond; where the template reserves the
 * concurrency, a synchronous invocation beyond is throttled (see `isFull`), and an asynchronous one waits, as Lambda
 * repeats those for hours. Idle workers are ended but one. Beyond one worker a core it grows one at a time, and only when an invocation has waited
 * for long: on a machine that is busy more threads make each of them slower, and every new one starts cold.
 *
 * Whichever worker is free first takes the oldest invocation that waits, so a burst never waits for a worker to
 * start when another finishes sooner.
 */
import { availableParallelism } from 'node:os';
import type { Clock, InvocationResult } from '../engine.ts';
import type { FunctionSettings } from './function-settings.ts';
import { FunctionWorker, failed, type WorkerDeps } from './function-worker.ts';

export interface PoolDeps {
  readonly clock: Clock;
  readonly newId: () => string;
  readonly createWorker: () => FunctionWorker;
  /** Takes a line of the function's log. */
  readonly log: (text: string) => void;
}

interface Waiting {
  readonly requestId: string;
  readonly payload: string;
  readonly settle: (result: InvocationResult) => void;
}

const cores = availableParallelism();
const longWaitMs = 250;
const idleLimitMs = 60_000;

export class FunctionPool {
  readonly #settings: FunctionSettings;
  readonly #deps: PoolDeps;
  readonly #waiting: Waiting[] = [];
  readonly #idle: FunctionWorker[] = [];
  readonly #all = new Set<FunctionWorker>();
  readonly #drained: (() => void)[] = [];
  #starting = 0;
  #busy = 0;
  #cancelReaping: (() => void) | undefined;
  #cancelGrowth: (() => void) | undefined;
  #closed = false;

  constructor(settings: FunctionSettings, deps: PoolDeps) {
    this.#settings = settings;
    this.#deps = deps;
  }

  get settings(): FunctionSettings {
    return this.#settings;
  }

  /** Whether Lambda would throttle one more invocation. */
  get isFull(): boolean {
    return this.#settings.isReserved && this.load >= this.#settings.maxConcurrency;
  }

  /** Invocations that run or wait. */
  get load(): number {
    return this.#busy + this.#waiting.length;
  }

  invoke(payload: string, requestId = this.#deps.newId()): Promise<InvocationResult> {
    if (this.#closed) {
      const errorMessage = 'Error: the embedded cloud is stopping';
      return Promise.resolve(failed(requestId, { errorType: 'Runtime.ExitError', errorMessage }));
    }
    return new Promise((settle) => {
      this.#waiting.push({ requestId, payload, settle });
      this.#dispatch();
    });
  }

  /** Starts one worker ahead of the first invocation. */
  async warm(): Promise<void> {
    if (!this.#closed && this.#all.size === 0 && this.#settings.maxConcurrency > 0) await this.#startWorker();
  }

  /** Resolves when nothing runs or waits any more. */
  async drain(): Promise<void> {
    if (this.load > 0) await new Promise<void>((resolve) => this.#drained.push(resolve));
  }

  async stop(): Promise<void> {
    this.#closed = true;
    this.#cancelReaping?.();
    this.#cancelGrowth?.();
    await Promise.all([...this.#all].map((worker) => worker.terminate()));
    this.#all.clear();
  }

  #dispatch(): void {
    while (this.#waiting.length > 0) {
      const worker = this.#takeIdle();
      if (worker === undefined) break;
      const next = this.#waiting.shift();
      if (next !== undefined) void this.#run(worker, next);
    }
    const atOnce = Math.min(cores, this.#settings.maxConcurrency);
    while (this.#starting < this.#waiting.length && this.#all.size < atOnce && !this.#closed) {
      void this.#startWorker();
    }
    this.#considerGrowth();
  }

  #considerGrowth(): void {
    const [oldest] = this.#waiting;
    const mayGrow = this.#starting === 0 && this.#all.size < this.#settings.maxConcurrency && !this.#closed;
    if (oldest === undefined || !mayGrow || this.#cancelGrowth !== undefined) return;
    this.#cancelGrowth = this.#deps.clock.after(longWaitMs, () => {
      this.#cancelGrowth = undefined;
      // Still there: nobody has become free for it.
      if (this.#waiting.includes(oldest) && !this.#closed) void this.#startWorker();
      else this.#considerGrowth();
    });
  }

  /** One that crashed while idle is passed over: its next invocation gets a fresh one, as in Lambda. */
  #takeIdle(): FunctionWorker | undefined {
    for (let worker = this.#idle.pop(); worker !== undefined; worker = this.#idle.pop()) {
      if (!worker.gone) return worker;
      this.#all.delete(worker);
    }
    return undefined;
  }

  async #run(worker: FunctionWorker, { requestId, payload, settle }: Waiting): Promise<void> {
    this.#busy += 1;
    const result = await worker.run(requestId, payload);
    this.#busy -= 1;
    this.#release(worker);
    if (result.functionError !== undefined) this.#logFailure(result);
    settle(result);
    if (this.load === 0) for (const resolve of this.#drained.splice(0)) resolve();
  }

  #release(worker: FunctionWorker): void {
    if (worker.gone) this.#all.delete(worker);
    else {
      worker.idleSince = this.#deps.clock.now();
      this.#idle.push(worker);
      this.#cancelReaping ??= this.#deps.clock.after(idleLimitMs, () => this.#reap());
    }
    this.#dispatch();
  }

  async #startWorker(): Promise<void> {
    this.#starting += 1;
    const worker = this.#deps.createWorker();
    this.#all.add(worker);
    const error = await worker.ready;
    this.#starting -= 1;
    if (error === undefined) return this.#release(worker);
    this.#all.delete(worker);
    // As in Lambda, the invocation that made the environment start gets the error of its init.
    const next = this.#waiting.shift();
    const result = failed(next?.requestId ?? this.#deps.newId(), error);
    this.#logFailure(result);
    next?.settle(result);
    if (this.load === 0) for (const resolve of this.#drained.splice(0)) resolve();
    this.#dispatch();
  }

  /** As Lambda does: what a function failed with stands in its log, whoever called it. */
  #logFailure({ requestId, payload }: InvocationResult): void {
    const timestamp = new Date(this.#deps.clock.now()).toISOString();
    this.#deps.log(
      `{"timestamp":"${timestamp}","level":"ERROR","requestId":"${requestId}","error":${payload}}\n`,
    );
  }

  #reap(): void {
    this.#cancelReaping = undefined;
    const oldest = this.#deps.clock.now() - idleLimitMs;
    // The front of the list has been idle for the longest: work is taken from its end.
    while (this.#idle.length > 0 && this.#all.size > 1) {
      const [worker] = this.#idle;
      if (worker === undefined || (!worker.gone && worker.idleSince > oldest)) break;
      this.#idle.shift();
      this.#all.delete(worker);
      void worker.terminate();
    }
    if (this.#all.size > 1) this.#cancelReaping = this.#deps.clock.after(idleLimitMs, () => this.#reap());
  }
}

export const createPool = (
  settings: FunctionSettings,
  deps: Pick<PoolDeps, 'clock' | 'newId' | 'log'>,
  worker: () => WorkerDeps,
): FunctionPool => {
  const { clock, newId, log } = deps;
  return new FunctionPool(settings, {
    clock,
    newId,
    log,
    createWorker: () => new FunctionWorker(settings, worker()),
  });
};
