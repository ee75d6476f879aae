import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { messageOf } from '../../agent/errors.ts';
import { runCommand, runOrFail } from '../../agent/runtimes/linux/run-command.ts';
import { artifactsFolder } from '../../scripts/setup/linux-runtime.ts';
import { timed } from '../measure.ts';
import { type Runner, untilOutput } from './runc.ts';

const DAEMON = '/usr/sbin/dockerd';
export const CLIENT = '/usr/bin/docker';
const READY_POLLS = 200;
const POLL_MS = 100;

export interface DockerEngine extends Runner {
  /** Runs `docker run --rm mini echo`. @returns the time until the client has ended, in milliseconds */
  readonly runToEnd: () => Promise<number>;
}

/**
 * `docker run` with a separate daemon, on a private socket and without a network. Null, with a notice, if Debian's
 * docker.io is not installed or does not start.
 */
export const openDocker = async (
  root: string,
  notice: (line: string) => void,
): Promise<DockerEngine | null> => {
  if (!existsSync(DAEMON) || !existsSync(CLIENT)) {
    notice('docker.io is not installed: `docker run` is not measured');
    return null;
  }
  const folder = mkdtempSync(join(tmpdir(), 'bulkhead-bench-docker-'));
  const socket = `unix://${folder}/docker.sock`;
  const daemon = spawn(DAEMON, daemonArguments(folder, socket), { stdio: 'ignore' });
  const docker = ['-H', socket];
  const close = async () => {
    const ended = new Promise((resolve) => daemon.once('exit', resolve));
    daemon.kill('SIGTERM');
    await ended;
    rmSync(folder, { recursive: true, force: true });
  };
  for (let polls = 0; (await runCommand(CLIENT, [...docker, 'version'])).code !== 0; polls++) {
    if (polls === READY_POLLS || daemon.exitCode !== null) {
      notice('dockerd does not start on this machine: `docker run` is not measured');
      await close();
      return null;
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  const run = async () => {
    const args = [...docker, 'run', '--rm', '--network', 'none', 'mini', 'sh', '-c', 'echo started'];
    const { ms, ended } = await untilOutput(CLIENT, args);
    await ended;
    return ms;
  };
  try {
    await importMini(root, folder, docker);
    await run();
    const once = ['run', '--rm', '--network', 'none', 'mini', 'echo', 'started'];
    const runToEnd = () => timed(() => runOrFail('docker run', CLIENT, [...docker, ...once]));
    return { run, runToEnd, close };
  } catch (error) {
    notice(
      `docker cannot run containers on this machine (${messageOf(error)}): \`docker run\` is not measured`,
    );
    await close();
    return null;
  }
};

const daemonArguments = (folder: string, socket: string): string[] => [
  ...['--data-root', join(folder, 'data'), '--exec-root', join(folder, 'exec'), '-H', socket],
  ...['--pidfile', join(folder, 'pid'), '--bridge=none', '--iptables=false', '--ip6tables=false'],
  ...['--containerd-namespace', `bench-${process.pid}`, '--storage-driver', 'overlay2'],
];

const importMini = async (root: string, folder: string, docker: readonly string[]): Promise<void> => {
  const tree = join(folder, 'mini');
  const archive = join(folder, 'mini.tar');
  await runOrFail('mini', 'unsquashfs', [
    '-no-progress',
    '-d',
    tree,
    join(artifactsFolder(root), 'mini.squashfs'),
  ]);
  await runOrFail('mini', 'tar', ['-cf', archive, '-C', tree, '.']);
  await runOrFail('docker import', CLIENT, [...docker, 'import', archive, 'mini']);
};
