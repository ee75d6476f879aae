/**
 * The workers of one function. The pool grows on demand up to the function's concurrency and queues invocations beyond it.
 * With reserved concurrency a synchronous invocation beyond it is throttled (see `isFull`), and an asynchronous one waits,
 * because Lambda retries those for hours. Beyond one worker per core the pool grows by
 * one at a time, if no worker has become free for long while invocations wait: then the workers wait for something.
 * On a busy machine more threads make each one slower, every new one starts cold, and each needs 15 MB. Idle workers are
 * ended by {@link IdleWorkers}.
 *
 * The first free worker takes the oldest waiting invocation, so a burst never waits for a new worker if another one
 * finishes sooner.
 */
import { availableParallelism } from 'node:os';
import type { Clock, InvocationResult } from '../engine.ts';
import type { FunctionSettings } from './function-settings.ts';
import { FunctionWorker, failed, type WorkerDeps } from './function-worker.ts';
import type { IdleWorkers } from './idle-workers.ts';

export type PoolWorker = Pick<FunctionWorker, 'ready' | 'gone' | 'run' | 'terminate'>;

export interface PoolDeps {
  readonly clock: Clock;
  readonly newId: () => string;
  readonly createWorker: () => PoolWorker;
  readonly idleWorkers: IdleWorkers;
  /** Receives a line of the function's log. */
  readonly log: (text: string) => void;
}

interface Waiting {
  readonly requestId: string;
  readonly payload: string;
  readonly settle: (result: InvocationResult) => void;
}

const cores = availableParallelism();
const longWaitMs = 500;

export class FunctionPool {
  readonly #settings: FunctionSettings;
  readonly #deps: PoolDeps;
  readonly #waiting: Waiting[] = [];
  readonly #idle: PoolWorker[] = [];
  readonly #all = new Set<PoolWorker>();
  readonly #drained: (() => void)[] = [];
  #starting = 0;
  #busy = 0;
  /** How often a worker has become free. */
  #freed = 0;
  #cancelGrowth: (() => void) | undefined;
  #closed = false;

  constructor(settings: FunctionSettings, deps: PoolDeps) {
    this.#settings = settings;
    this.#deps = deps;
  }

  get settings(): FunctionSettings {
    return this.#settings;
  }

  /** Whether Lambda would throttle another invocation. */
  get isFull(): boolean {
    return this.#settings.isReserved && this.load >= this.#settings.maxConcurrency;
  }

  /** Number of running and waiting invocations. */
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

  /** Resolves when no invocation runs or waits. */
  async drain(): Promise<void> {
    if (this.load > 0) await new Promise<void>((resolve) => this.#drained.push(resolve));
  }

  async stop(): Promise<void> {
    this.#closed = true;
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
    const mayGrow = this.#starting === 0 && this.#all.size < this.#settings.maxConcurrency && !this.#closed;
    if (this.#waiting.length === 0 || !mayGrow || this.#cancelGrowth !== undefined) return;
    const freed = this.#freed;
    this.#cancelGrowth = this.#deps.clock.after(longWaitMs, () => {
      this.#cancelGrowth = undefined;
      if (this.#freed === freed && !this.#closed) void this.#startWorker();
      else this.#considerGrowth();
    });
  }

  /** Skips a worker that crashed while idle: the next invocation gets a new one, as in Lambda. */
  #takeIdle(): PoolWorker | undefined {
    for (let worker = this.#idle.pop(); worker !== undefined; worker = this.#idle.pop()) {
      this.#deps.idleWorkers.remove(worker);
      if (!worker.gone) return worker;
      this.#all.delete(worker);
    }
    return undefined;
  }

  async #run(worker: PoolWorker, { requestId, payload, settle }: Waiting): Promise<void> {
    this.#busy += 1;
    const result = await worker.run(requestId, payload);
    this.#busy -= 1;
    this.#release(worker);
    if (result.functionError !== undefined) this.#logFailure(result);
    settle(result);
    if (this.load === 0) for (const resolve of this.#drained.splice(0)) resolve();
  }

  #release(worker: PoolWorker): void {
    this.#freed += 1;
    if (worker.gone) this.#all.delete(worker);
    else {
      this.#idle.push(worker);
      this.#deps.idleWorkers.add(worker, () => this.#end(worker));
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
    // As in Lambda, the invocation that started the environment gets the error of its init phase.
    const next = this.#waiting.shift();
    const result = failed(next?.requestId ?? this.#deps.newId(), error);
    this.#logFailure(result);
    next?.settle(result);
    if (this.load === 0) for (const resolve of this.#drained.splice(0)) resolve();
    this.#dispatch();
  }

  /** As in Lambda, the function's log contains its errors, for any caller. */
  #logFailure({ requestId, payload }: InvocationResult): void {
    const timestamp = new Date(this.#deps.clock.now()).toISOString();
    this.#deps.log(
      `{"timestamp":"${timestamp}","level":"ERROR","requestId":"${requestId}","error":${payload}}\n`,
    );
  }

  /** Ends an idle worker. */
  #end(worker: PoolWorker): void {
    this.#idle.splice(this.#idle.indexOf(worker), 1);
    this.#all.delete(worker);
    void worker.terminate();
  }
}

export const createPool = (
  settings: FunctionSettings,
  deps: Omit<PoolDeps, 'createWorker'>,
  worker: () => WorkerDeps,
): FunctionPool =>
  new FunctionPool(settings, { ...deps, createWorker: () => new FunctionWorker(settings, worker()) });
