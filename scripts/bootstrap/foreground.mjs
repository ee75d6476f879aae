import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { constants } from 'node:os';
import { delimiter, dirname, join } from 'node:path';

const FORWARDED = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'];
const SETPRIV = '/usr/bin/setpriv';

/**
 * Runs the command in the foreground and returns its exit code. Signals are forwarded. If this process is killed, the
 * kernel sends SIGTERM to the command, so that no process is left behind.
 * @param {{node: string, root: string, args: readonly string[], env: Readonly<Record<string, string>>}} wanted
 * @returns {Promise<number>} the exit code
 */
export const runForeground = ({ node, root, args, env }) => {
  const tied = process.platform === 'linux' && existsSync(SETPRIV);
  const [command, ...rest] = [...(tied ? [SETPRIV, '--pdeathsig', 'TERM', '--'] : []), node, ...args];
  const child = spawn(command, rest, {
    cwd: root,
    stdio: 'inherit',
    env: {
      // A cache of compiled modules, which halves the start-up time of every process: agents, clouds, tests.
      NODE_COMPILE_CACHE: join(root, '.bulkhead/compile-cache'),
      ...process.env,
      ...env,
      PATH: `${dirname(node)}${delimiter}${process.env.PATH ?? ''}`,
    },
  });
  for (const signal of FORWARDED) process.on(signal, () => child.kill(signal));
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code, signal) => resolve(code ?? 128 + constants.signals[signal ?? 'SIGKILL']));
  });
};
