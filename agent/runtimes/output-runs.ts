import type { OutputStream } from '../../core/contract/session.ts';

/** Consecutive output of one stream. */
interface Run {
  readonly stream: OutputStream;
  buffer: Buffer;
  from: number;
  to: number;
}

export interface OutputPiece {
  readonly stream: OutputStream;
  readonly data: Buffer;
}

/** Maximum number of separate runs. It bounds the memory overhead of waiting output. */
const MAX_RUNS = 64;

/**
 * A queue of output. A process may write single bytes, so consecutive pieces of one stream are merged. If stdout and stderr
 * alternate more than `MAX_RUNS` times, output is added to the last run of its stream. Each stream then keeps its order, but
 * the order between the streams is lost.
 */
export class OutputRuns {
  #runs: Run[] = [];

  /** Copies the data. */
  add(stream: OutputStream, data: Buffer): void {
    const joined =
      this.#runs.at(-1)?.stream === stream || this.#runs.length >= MAX_RUNS
        ? this.#runs.findLast((run) => run.stream === stream)
        : undefined;
    if (joined !== undefined) join(joined, data);
    else this.#runs.push({ stream, buffer: Buffer.from(data), from: 0, to: data.length });
  }

  /** Removes the first run, or its first `most` bytes. */
  take(most = Number.POSITIVE_INFINITY): OutputPiece | undefined {
    const [first] = this.#runs;
    if (first === undefined) return undefined;
    const to = Math.min(first.to, first.from + most);
    const data = first.buffer.subarray(first.from, to);
    first.from = to;
    if (first.from === first.to) this.#runs.shift();
    return { stream: first.stream, data };
  }

  clear(): void {
    this.#runs = [];
  }
}

const join = (run: Run, data: Buffer): void => {
  if (run.to + data.length > run.buffer.length) {
    const waiting = run.buffer.subarray(run.from, run.to);
    run.buffer = Buffer.allocUnsafe(2 * (waiting.length + data.length));
    waiting.copy(run.buffer);
    run.from = 0;
    run.to = waiting.length;
  }
  data.copy(run.buffer, run.to);
  run.to += data.length;
};
