import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { ROOT } from '../local/options.ts';
import { DemoError } from './errors.ts';

export interface ControlPlane {
  readonly apiUrl: string;
  readonly token: string;
  stop(): Promise<void>;
}

const ended = (child: ChildProcess): Promise<unknown> =>
  child.exitCode !== null || child.signalCode !== null ? Promise.resolve() : once(child, 'exit');

const LAST_LINES = 20;

/**
 * A temporary Bulkhead: this machine as a host, if possible, and simulated Windows hosts. Nothing is kept.
 * @param host value of `npm start -- --host`
 */
export const startControlPlane = async (host: string, say: (line: string) => void): Promise<ControlPlane> => {
  const args = [
    '--disable-warning=ExperimentalWarning',
    'bin/local.ts',
    '--ephemeral',
    '--port',
    '0',
    '--json',
  ];
  const child = spawn(process.execPath, [...args, '--host', host, '--simulate', '2'], {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'pipe'],
    // In a separate process group, so that Ctrl-C reaches only the demo, which then stops this process.
    detached: true,
  });
  const messages: string[] = [];
  createInterface({ input: child.stderr }).on('line', (line) => {
    messages.push(line);
    if (/this machine/i.test(line)) say(line);
  });
  const stop = async (): Promise<void> => {
    child.kill('SIGTERM');
    await ended(child);
  };
  const lines = createInterface({ input: child.stdout });
  const first = await Promise.race([once(lines, 'line'), ended(child)]);
  if (!Array.isArray(first) || typeof first[0] !== 'string' || !first[0].startsWith('{')) {
    await stop();
    throw new DemoError(`The control plane did not start:\n${messages.slice(-LAST_LINES).join('\n')}`);
  }
  const { apiUrl, token } = JSON.parse(first[0]) as { apiUrl: string; token: string };
  return { apiUrl, token, stop };
};
