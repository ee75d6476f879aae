import { spawn } from 'node:child_process';
import type { Step } from './steps.ts';

export interface StepResult {
  readonly name: string;
  readonly ok: boolean;
  readonly seconds: number;
}

interface Surroundings {
  readonly root: string;
  readonly print: (text: string) => void;
}

interface Run extends StepResult {
  readonly output: string;
}

const AT_ONCE = 2;

/**
 * Runs every step. Prints the output of failed steps, and then one line with the time of each step.
 * @returns one result for each step, in the given order
 */
export const runSteps = async (
  steps: readonly Step[],
  surroundings: Surroundings,
): Promise<readonly StepResult[]> => {
  const results: StepResult[] = [];
  const waiting = steps.entries();
  const worker = async () => {
    for (const [index, step] of waiting) {
      const { output, ...result } = await run(step, surroundings.root);
      results[index] = result;
      if (!result.ok) surroundings.print(`\n── ${step.name} ──\n${output.trim()}\n${step.advice}\n`);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  surroundings.print(`\n${results.map(summaryLine).join('\n')}\n`);
  return results;
};

const summaryLine = ({ name, ok, seconds }: StepResult): string =>
  `${ok ? '✓' : '✗'} ${name.padEnd(24)}${seconds.toFixed(1).padStart(6)} s`;

const run = ({ name, command }: Step, root: string): Promise<Run> => {
  const began = performance.now();
  const [program = '', ...args] = command;
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    const child = spawn(program, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
    const settle = (ok: boolean, more = ''): void =>
      resolve({
        name,
        ok,
        seconds: (performance.now() - began) / 1000,
        output: Buffer.concat(chunks).toString() + more,
      });
    child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => chunks.push(chunk));
    child.once('error', (error) => settle(false, `cannot be run: ${error.message}`));
    child.once('close', (code) => settle(code === 0));
  });
};
