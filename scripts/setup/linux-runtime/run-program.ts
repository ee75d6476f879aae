import { spawn } from 'node:child_process';
import type { SetUpRefusedError } from './refusal.ts';

const TAIL_LINES = 8;

export interface ProgramOptions {
  readonly input?: Buffer;
  readonly folder?: string;
  /** Creates the error if the program fails. @param output the last lines of the program's output */
  readonly refuse: (output: string) => SetUpRefusedError;
}

/** Runs a program to its end and returns its stdout. Rejects with `refuse` if it fails. */
export const runProgram = (
  program: string,
  args: readonly string[],
  { input, folder, refuse }: ProgramOptions,
): Promise<Buffer> =>
  new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      cwd: folder,
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive', LC_ALL: 'C' },
    });
    const out: Buffer[] = [];
    const errors: Buffer[] = [];
    child.stdout.on('data', (chunk) => out.push(chunk));
    child.stderr.on('data', (chunk) => errors.push(chunk));
    // A program may end before it has read all of its input. Its exit code shows whether it failed.
    child.stdin.on('error', () => {});
    child.stdin.end(input);
    const tail = () => Buffer.concat(errors).toString().trim().split('\n').slice(-TAIL_LINES).join('\n');
    child.once('error', (error) => reject(refuse(error.message)));
    child.once('close', (code) => (code === 0 ? resolve(Buffer.concat(out)) : reject(refuse(tail()))));
  });
