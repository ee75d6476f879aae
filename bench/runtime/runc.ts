import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runOrFail } from '../../agent/runtimes/linux/run-command.ts';
import { artifactsFolder } from '../../scripts/setup/linux-runtime.ts';
import { BenchmarkError } from '../measure.ts';

export interface Runner {
  /** Milliseconds from the command to the first output. */
  run(): Promise<number>;
  close(): Promise<void>;
}

/** Runs a program until its first output. Rejects if it ends without output. */
export const untilOutput = (
  program: string,
  args: readonly string[],
  folder?: string,
): Promise<{ ms: number; ended: Promise<void>; kill: () => void }> =>
  new Promise((resolve, reject) => {
    const began = performance.now();
    const child = spawn(program, args, { cwd: folder, stdio: ['ignore', 'pipe', 'inherit'] });
    const ended = new Promise<void>((done) => child.once('close', () => done()));
    child.once('error', reject);
    child.once('close', (code) => reject(new BenchmarkError(`${program} ended with ${code} and no output`)));
    child.stdout.once('data', () =>
      resolve({ ms: performance.now() - began, ended, kill: () => child.kill('SIGKILL') }),
    );
  });

/** `runc run` on an unpacked image, with the configuration that runc generates. */
export const openRunc = async (root: string): Promise<Runner> => {
  const folder = mkdtempSync(join(tmpdir(), 'bulkhead-bench-runc-'));
  const rootfs = join(folder, 'rootfs');
  const state = join(folder, 'state');
  await runOrFail('mini', 'unsquashfs', [
    '-no-progress',
    '-d',
    rootfs,
    join(artifactsFolder(root), 'mini.squashfs'),
  ]);
  mkdirSync(state);
  await runOrFail('runc spec', 'runc', ['spec', '--bundle', folder]);
  const config = JSON.parse(readFileSync(join(folder, 'config.json'), 'utf8'));
  config.process.terminal = false;
  config.process.args = ['sh', '-c', 'echo started'];
  writeFileSync(join(folder, 'config.json'), JSON.stringify(config));
  let count = 0;
  return {
    run: async () => {
      const { ms, ended } = await untilOutput('runc', [
        '--root',
        state,
        'run',
        '--bundle',
        folder,
        `bench-${process.pid}-${count++}`,
      ]);
      await ended;
      return ms;
    },
    close: async () => rmSync(folder, { recursive: true, force: true }),
  };
};
