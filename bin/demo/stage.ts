import type { Io, TextOutput } from '../../cli/io.ts';
import { main } from '../../cli/main.ts';
import { paintFor } from '../../cli/output/colours.ts';
import { commandLine } from '../../cli/output/format.ts';
import { wrap } from '../../cli/output/text.ts';
import { AnswerError, type Client, ProblemError } from '../../core/client/index.ts';

/** The outcome of a row of the workflow. */
export type Outcome = 'shown' | 'failed' | 'unavailable';

interface Row {
  /** The cmdlet in the documentation of Hyper-V containers. */
  readonly cmdlet: string;
  /** Arguments of the CLI; each command runs and its output is shown. */
  readonly commands: readonly (readonly string[])[];
  /** Verifies the row through the API. @returns whether it succeeded */
  readonly check: () => Promise<boolean>;
  readonly proves: string;
  /** The expected exit code. Not 0 for a row that shows a refused request. @default 0 */
  readonly exitCode?: number;
}

const MAX_SHOWN = 24;

/** Records the output. It has the terminal properties of the given stream. */
class Capture implements TextOutput {
  readonly isTTY: boolean;
  readonly columns: number;
  text = '';
  constructor({ isTTY = false, columns = 80 }: TextOutput) {
    this.isTTY = isTTY;
    this.columns = columns;
  }
  write(text: string | Uint8Array): boolean {
    this.text += typeof text === 'string' ? text : Buffer.from(text).toString();
    return true;
  }
}

/** Runs rows, shows them and records the outcomes. */
export class Stage {
  readonly client: Client;
  readonly outcomes: { readonly cmdlet: string; readonly outcome: Outcome }[] = [];
  readonly #io: Io;
  readonly #paint;

  constructor(io: Io, client: Client) {
    this.#io = io;
    this.client = client;
    this.#paint = paintFor(io.stdout, io);
  }

  print(text: string): void {
    this.#io.stdout.write(`${text}\n`);
  }

  title(text: string): void {
    this.print(`\n${this.#paint('bold', text)}\n${this.#paint('dim', '='.repeat(text.length))}`);
  }

  /** Runs a row and continues after a failure. */
  async row(row: Row): Promise<Outcome> {
    this.print(`\n${this.#paint('dim', `PS> ${row.cmdlet}`)}`);
    const outcome = await this.#outcomeOf(row);
    this.outcomes.push({ cmdlet: row.cmdlet, outcome });
    this.verdict(outcome, row.proves);
    return outcome;
  }

  verdict(outcome: Outcome, proves: string): void {
    const mark = {
      shown: this.#paint('green', '✓'),
      failed: this.#paint('red', '✗ FAILED:'),
      unavailable: this.#paint('yellow', '– not available in this version:'),
    }[outcome];
    this.print(wrap(`${mark} ${proves}`, this.#io.stdout.columns ?? 80).join('\n  '));
  }

  async #outcomeOf(row: Row): Promise<Outcome> {
    for (const words of row.commands) {
      const { exitCode, text } = await this.run(words);
      this.#show(text);
      if (exitCode === (row.exitCode ?? 0)) continue;
      return /not-supported-yet|no sessions yet|answered 404/.test(text) ? 'unavailable' : 'failed';
    }
    try {
      return (await row.check()) ? 'shown' : 'failed';
    } catch (error) {
      this.print(String(error));
      return isUnavailable(error) ? 'unavailable' : 'failed';
    }
  }

  /** Runs one command of the CLI. */
  async run(words: readonly string[]): Promise<{ readonly exitCode: number; readonly text: string }> {
    this.print(`${this.#paint('cyan', '$')} bulkhead ${commandLine(words)}`);
    const output = new Capture(this.#io.stdout);
    // Steps are shown one after another, without a spinner.
    const steps: TextOutput = { write: (text) => output.write(text) };
    const exitCode = await main(words, { ...this.#io, stdout: output, stderr: steps });
    return { exitCode, text: output.text };
  }

  #show(text: string): void {
    const lines = text.replace(/\n$/, '').split('\n');
    for (const line of lines.slice(0, MAX_SHOWN)) this.print(`  ${line}`.trimEnd());
    if (lines.length > MAX_SHOWN) this.print(`  … and ${lines.length - MAX_SHOWN} more`);
  }
}

const isUnavailable = (error: unknown): boolean =>
  (error instanceof ProblemError && error.code === 'not-supported-yet') ||
  (error instanceof AnswerError && error.status === 404);
