import { spawnSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLayout } from '../../agent/runtimes/linux/layout.ts';
import { commandLineOf, listPids } from '../../agent/runtimes/linux/proc.ts';

/** One run of jest has a folder for all temporary files of its tests. Every process of the tests inherits its name. */
const RUN = 'BULKHEAD_TEST_RUN';
/** A file with the state folders of the hosts that tests opened, one per line. */
const HOSTS = 'opened-hosts';
/** Maximum depth of a host's state folder in the folder of the run: cloud, `hosts`, name, `linux`. */
const DEPTH = 5;

export const beginTestRun = (): void => {
  // A short name, because the folder contains sockets, whose paths have at most 107 bytes.
  const folder = mkdtempSync(join(tmpdir(), 'bh-'));
  chmodSync(folder, 0o1777);
  process.env[RUN] = folder;
  process.env.TMPDIR = folder;
};

/** Records a host outside the folder of the run, so that `endTestRun` finds what a crashed test has left. */
export const recordOpenedHost = (stateFolder: string): void => {
  const folder = process.env[RUN];
  if (folder !== undefined) appendFileSync(join(folder, HOSTS), `${stateFolder}\n`);
};

const isOfRun = (pid: number, folder: string): boolean => {
  try {
    return (
      commandLineOf(pid).some((word) => word.includes(`${folder}/`)) ||
      readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0').includes(`${RUN}=${folder}`)
    );
  } catch {
    return false;
  }
};

/** Processes that tests started and did not end. Excludes jest's workers, which have the same environment. */
const findLeftProcesses = (folder: string): readonly { pid: number; command: string }[] =>
  listPids()
    .filter((pid) => pid !== process.pid && pid !== process.ppid && isOfRun(pid, folder))
    .map((pid) => ({ pid, command: commandLineOf(pid).join(' ') }))
    .filter(({ command }) => command !== '' && !command.includes('jest-worker'));

const foldersIn = (folder: string, depth: number): readonly string[] =>
  depth === 0
    ? []
    : readdirSync(folder, { withFileTypes: true })
        .filter((entry) => entry.isDirectory())
        .map(({ name }) => join(folder, name))
        .flatMap((path) => [path, ...foldersIn(path, depth - 1)]);

/** State folders of hosts that have containers or VMs on this machine. */
const findLeftHosts = (folder: string): readonly string[] => {
  const recorded = join(folder, HOSTS);
  const opened = existsSync(recorded) ? readFileSync(recorded, 'utf8').split('\n').filter(Boolean) : [];
  return [...new Set([...opened, ...foldersIn(folder, DEPTH)])].filter((state) => {
    const { run, runVms, runContainers } = createLayout(state);
    return (
      existsSync(run) &&
      [runVms, runContainers].some((path) => existsSync(path) && readdirSync(path).length > 0)
    );
  });
};

/** In a separate process, because jest's transformer cannot load the runtime here. */
const removeHosts = (stateFolders: readonly string[]): void => {
  const program = join(import.meta.dirname, 'remove-hosts.ts');
  const env = { ...process.env, NODE_OPTIONS: '' };
  if (stateFolders.length > 0)
    spawnSync(process.execPath, [program, ...stateFolders], { stdio: ['ignore', 'ignore', 'inherit'], env });
};

/** Ends everything that tests of this run have left: processes, containers, VMs, files. @returns what it ended */
export const endTestRun = (): readonly string[] => {
  const folder = process.env[RUN];
  if (folder === undefined) return [];
  const processes = findLeftProcesses(folder);
  for (const { pid } of processes)
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // The process has already ended.
    }
  const hosts = findLeftHosts(folder);
  removeHosts(hosts);
  rmSync(folder, { recursive: true, force: true });
  return [
    ...processes.map(({ pid, command }) => `process ${pid}: ${command}`),
    ...hosts.map((host) => `host ${host}`),
  ];
};
