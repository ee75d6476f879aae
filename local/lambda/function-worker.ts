/**
 * One worker thread running one function: one invocation at a time, as an execution environment of Lambda.
 *
 * starting → idle ⇄ busy → gone. A worker is gone after a timeout, a crash, a failed init or `terminate()`; after a
 * handler's error it is idle. A started invocation always settles exactly once.
 */
import { Worker } from 'node:worker_threads';
import type { Clock, InvocationResult } from '../engine.ts';
import type { FunctionSettings } from './function-settings.ts';

interface RuntimeError {
  readonly errorType: string;
  readonly errorMessage: string;
  readonly trace?: readonly string[];
}

type WorkerMessage =
  | { readonly kind: 'ready' }
  | { readonly kind: 'result'; readonly payload: string }
  | { readonly kind: 'initFailed' | 'failed' | 'crashed'; readonly error: RuntimeError }
  | { readonly kind: 'log'; readonly text: string };

export interface WorkerDeps {
  readonly clock: Clock;
  readonly environment: Readonly<Record<string, string>>;
  /** Folder in which V8 caches compiled code for other workers: loading is about a fifth faster (45 → 37 ms here). */
  readonly compileCache: string;
  readonly log: (text: string) => void;
}

/** Lambda's time limit of a function's init phase. */
const initLimitMs = 10_000;
/** Maximum size of a synchronous result in bytes (Lambda quotas). */
const largestAnswer = 6 * 1024 * 1024;
const bootstrap = new URL('./worker.mjs', import.meta.url);

export class FunctionWorker {
  /** Resolves when it can accept an invocation, or with the error if it never will. */
  readonly ready: Promise<RuntimeError | undefined>;
  gone = false;
  readonly #worker: Worker;
  readonly #settings: FunctionSettings;
  readonly #deps: WorkerDeps;
  #resolveReady: (error: RuntimeError | undefined) => void = () => {};
  #finish: ((outcome: { payload: string } | { error: RuntimeError }) => void) | undefined;
  #crash: RuntimeError | undefined;

  constructor(settings: FunctionSettings, deps: WorkerDeps) {
    this.#settings = settings;
    this.#deps = deps;
    this.ready = new Promise((resolve) => {
      this.#resolveReady = resolve;
    });
    this.#worker = new Worker(bootstrap, {
      env: { ...deps.environment },
      execArgv: [],
      resourceLimits: { maxOldGenerationSizeMb: settings.memoryMB },
      workerData: {
        modulePath: settings.modulePath,
        handlerName: settings.handlerName,
        functionArn: settings.arn,
        functionName: settings.name,
        memoryMB: settings.memoryMB,
        logGroup: settings.logGroup,
        compileCache: deps.compileCache,
      },
    });
    this.#worker.on('message', (message: WorkerMessage) => this.#receive(message));
    this.#worker.on('error', (error) => this.#end(this.#errorOfThread(error)));
    this.#worker.on('exit', (code) => this.#end(exitError(code)));
    const cancel = deps.clock.after(initLimitMs, () => this.#timeOut(initLimitMs));
    void this.ready.then(cancel);
  }

  /** The worker must be ready and not busy. Settles with a result, even for a function that fails. */
  async run(requestId: string, payload: string): Promise<InvocationResult> {
    const { timeoutMs } = this.#settings;
    const outcome = await new Promise<{ payload: string } | { error: RuntimeError }>((resolve) => {
      const cancel = this.#deps.clock.after(timeoutMs, () => this.#timeOut(timeoutMs));
      this.#finish = (settled) => {
        cancel();
        this.#finish = undefined;
        resolve(settled);
      };
      if (this.gone) this.#finish({ error: this.#crash ?? exitError(1) });
      else this.#worker.postMessage({ requestId, payload, timeoutMs });
    });
    if ('error' in outcome) return failed(requestId, outcome.error);
    if (Buffer.byteLength(outcome.payload) > largestAnswer) {
      const errorMessage = `Response payload size exceeded maximum allowed payload size (${largestAnswer} bytes).`;
      return failed(requestId, { errorType: 'Function.ResponseSizeTooLarge', errorMessage });
    }
    return { payload: outcome.payload, requestId };
  }

  async terminate(): Promise<void> {
    this.gone = true;
    await this.#worker.terminate();
  }

  #receive(message: WorkerMessage): void {
    switch (message.kind) {
      case 'log':
        this.#deps.log(message.text);
        break;
      case 'ready':
        this.#resolveReady(undefined);
        break;
      case 'result':
        this.#finish?.({ payload: message.payload });
        break;
      case 'failed':
        this.#finish?.({ error: message.error });
        break;
      default:
        this.#end(message.error);
        void this.#worker.terminate();
    }
  }

  #timeOut(limitMs: number): void {
    const errorMessage = `Error: Task timed out after ${(limitMs / 1000).toFixed(2)} seconds`;
    this.#end({ errorType: 'Sandbox.Timedout', errorMessage });
    void this.#worker.terminate();
  }

  #errorOfThread(error: unknown): RuntimeError {
    const { code, message } = Object(error) as { code?: unknown; message?: unknown };
    if (code === 'ERR_WORKER_OUT_OF_MEMORY') {
      const errorMessage = 'Error: Runtime exited with error: signal: killed';
      return { errorType: 'Runtime.OutOfMemory', errorMessage };
    }
    return { errorType: 'Runtime.Unknown', errorMessage: String(message ?? error) };
  }

  /** Only the first cause is used: a crashed thread also exits. */
  #end(error: RuntimeError): void {
    this.gone = true;
    this.#crash ??= error;
    this.#resolveReady(this.#crash);
    this.#finish?.({ error: this.#crash });
  }
}

const exitError = (code: number): RuntimeError => ({
  errorType: 'Runtime.ExitError',
  errorMessage:
    code === 0
      ? 'Error: Runtime exited without providing a reason'
      : `Error: Runtime exited with error: exit status ${code}`,
});

const platformErrors = ['Sandbox.Timedout', 'Runtime.ExitError', 'Runtime.OutOfMemory'];

/** Platform errors contain the request id in their message; errors of the code are unchanged. */
export const failed = (requestId: string, error: RuntimeError): InvocationResult => {
  const { errorType, errorMessage, trace } = error;
  const message = platformErrors.includes(errorType)
    ? `RequestId: ${requestId} ${errorMessage}`
    : errorMessage;
  const payload = { errorType, errorMessage: message, ...(trace && { trace }) };
  return { payload: JSON.stringify(payload), functionError: 'Unhandled', requestId };
};
