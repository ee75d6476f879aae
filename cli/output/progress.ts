import type { Operation, OperationStep } from '../../core/contract/operation.ts';
import type { TextOutput } from '../io.ts';
import type { Paint } from './colours.ts';
import { duration } from './format.ts';
import { escapeControls, truncate } from './text.ts';

/**
 * Shows an operation's steps during a wait, on stderr, so that stdout has only the result. A line is printed when a step
 * has ended. On a terminal the line below shows the current step and is removed at the end.
 */
const MARKS = { Succeeded: ['green', '✓'], Failed: ['red', '✗'], Running: ['cyan', '…'] } as const;
const FRAMES = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];
const FRAME_MS = 120;

export class StepProgress {
  readonly #output: TextOutput;
  readonly #paint: Paint;
  readonly #written = new Set<number>();
  #reason: string | null = null;
  #current = '';
  #frame = 0;
  #timer: ReturnType<typeof setInterval> | undefined;

  constructor(output: TextOutput, paint: Paint) {
    this.#output = output;
    this.#paint = paint;
  }

  /** Shows the current steps of an operation. Can be called repeatedly. */
  show(operation: Operation): void {
    this.#erase();
    for (const [at, step] of operation.steps.entries()) {
      if (step.state === 'Running' || this.#written.has(at)) continue;
      this.#written.add(at);
      this.#output.write(this.#line(step));
    }
    if (operation.reason !== null && operation.reason !== this.#reason)
      this.#output.write(`  ${this.#paint('yellow', '!')} ${escapeControls(operation.reason)}\n`);
    this.#reason = operation.reason;
    const running = operation.steps.find(({ state }) => state === 'Running');
    this.#current = running?.name ?? operation.state;
    this.#animate();
  }

  end(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#erase();
  }

  #line({ name, state, durationMs, detail }: OperationStep): string {
    const [colour, mark] = MARKS[state];
    const time = durationMs === null ? '' : ` ${this.#paint('dim', duration(durationMs))}`;
    const more = detail === undefined ? '' : ` ${this.#paint('dim', escapeControls(detail))}`;
    return `  ${this.#paint(colour, mark)} ${escapeControls(name)}${time}${more}\n`;
  }

  #animate(): void {
    if (this.#output.isTTY !== true) return;
    this.#draw();
    this.#timer ??= setInterval(() => this.#draw(), FRAME_MS);
    this.#timer.unref?.();
  }

  #draw(): void {
    const frame = FRAMES[this.#frame++ % FRAMES.length] ?? '';
    const text = truncate(`${escapeControls(this.#current)} …`, (this.#output.columns ?? 80) - 5);
    this.#output.write(`\r\u001b[2K  ${this.#paint('cyan', frame)} ${text}`);
  }

  #erase(): void {
    if (this.#output.isTTY === true) this.#output.write('\r\u001b[2K');
  }
}
