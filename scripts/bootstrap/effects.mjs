import { spawn } from 'node:child_process';
import { constants } from 'node:fs';
import { access, mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { showProgress } from './progress.mjs';

const KEPT_LINES = 1_000;
const LOCK_POLL_MS = 300;
/** Age after which a lock without a process id is stale: its owner crashed before it wrote the id. */
const UNSIGNED_LOCK_MS = 5_000;
const ENDING = ['SIGINT', 'SIGTERM', 'SIGHUP'];

/**
 * The real machine.
 * @param {string} root the checkout
 * @returns {import('./types.d.mts').Effects}
 */
export const createEffects = (root) => {
  const absolute = (path) => join(root, path);
  return {
    platform: process.platform,
    arch: process.arch,
    nodeVersion: process.versions.node,
    nodePath: process.execPath,
    isRoot: process.getuid?.() === 0,
    absolute,
    read: (path) => readIfThere(absolute(path)),
    write: (path, content) => writeWhole(absolute(path), content),
    exists: (path) => isThere(absolute(path), constants.F_OK),
    onPath,
    run: (label, command, args) => run(root, label, command, args),
    npm: (label, args) => runNpm(root, label, args),
    exclusively: (label, work) => exclusively(absolute('.bulkhead'), label, work),
  };
};

const readIfThere = async (path) => {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  }
};

const writeWhole = async (path, content) => {
  await writeFile(`${path}.new`, content);
  await rename(`${path}.new`, path);
};

const isThere = async (path, mode) => {
  try {
    await access(path, mode);
    return true;
  } catch {
    return false;
  }
};

const onPath = async (program) => {
  const folders = (process.env.PATH ?? '').split(delimiter);
  const found = await Promise.all(folders.map((folder) => isThere(join(folder, program), constants.X_OK)));
  return found.includes(true);
};

/** Runs npm with the current Node. Without `npm_execpath`, runs the npm in the PATH instead. */
const runNpm = (root, label, args) => {
  const npm = process.env.npm_execpath;
  return npm?.endsWith('.js') || npm?.endsWith('.cjs')
    ? run(root, label, process.execPath, [npm, ...args])
    : run(root, label, process.platform === 'win32' ? 'npm.cmd' : 'npm', args);
};

const run = (root, label, command, args) =>
  new Promise((resolve) => {
    const lines = [];
    const keep = (chunk) => {
      lines.push(
        ...chunk
          .toString()
          .split('\n')
          .filter((line) => line.trim() !== ''),
      );
      lines.splice(0, Math.max(0, lines.length - KEPT_LINES));
    };
    const done = showProgress(label);
    const child = spawn(command, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
    const stop = () => {
      child.kill('SIGTERM');
      process.exit(130);
    };
    for (const signal of ENDING) process.on(signal, stop);
    const settle = (ok) => {
      for (const signal of ENDING) process.off(signal, stop);
      done(ok ? 'done' : 'failed');
      resolve({ ok, lines });
    };
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    child.once('error', (error) => {
      keep(error.message);
      settle(false);
    });
    child.once('close', (code) => settle(code === 0));
  });

const isAlive = (pid) => {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
};

/** The lock is a folder, because creating one is atomic. A lock whose owner has exited is taken over. */
const exclusively = async (stateDir, label, work) => {
  const lock = join(stateDir, 'set-up.lock');
  await mkdir(stateDir, { recursive: true, mode: 0o700 });
  const done = showProgress(label);
  while (!(await tryLock(lock))) await new Promise((resolve) => setTimeout(resolve, LOCK_POLL_MS));
  done('done');
  try {
    return await work();
  } finally {
    await rm(lock, { recursive: true, force: true });
  }
};

const isAbandoned = async (lock) => {
  const owner = await readIfThere(join(lock, 'pid'));
  if (owner) return !isAlive(Number(owner));
  const made = await stat(lock).catch(() => undefined);
  return made !== undefined && Date.now() - made.mtimeMs > UNSIGNED_LOCK_MS;
};

const tryLock = async (lock) => {
  try {
    await mkdir(lock);
  } catch (error) {
    if (error.code !== 'EEXIST') throw error;
    if (await isAbandoned(lock)) await rm(lock, { recursive: true, force: true });
    return false;
  }
  await writeFile(join(lock, 'pid'), String(process.pid));
  return true;
};
