/** The directory with all state of an embedded cloud, locked by the process that runs it. */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { EngineStartError } from './errors.ts';
import { identifyProcess, isSameProcess, type ProcessIdentity } from './process-identity.ts';

const lockFile = 'cloud.lock';
/** State of the engines, without keys, logs and caches. */
const stored = /^(dynamodb|(async-invocations|events|executions|queues|stream-checkpoints)\.db(-wal|-shm)?)$/;

const holderOf = (path: string): ProcessIdentity | undefined => {
  try {
    const holder = JSON.parse(readFileSync(path, 'utf8')) as ProcessIdentity;
    return isSameProcess(holder) ? holder : undefined;
  } catch {
    return undefined;
  }
};

/**
 * @returns a function that releases the lock.
 * @throws EngineStartError if a running process holds it.
 */
export const lockStateDirectory = (stateDir: string): (() => void) => {
  mkdirSync(stateDir, { recursive: true, mode: 0o700 });
  const path = join(stateDir, lockFile);
  const holder = holderOf(path);
  if (holder !== undefined) {
    throw new EngineStartError(
      `${stateDir} is in use by process ${holder.pid}: stop it first, or use another directory`,
    );
  }
  if (existsSync(path)) unlinkSync(path);
  try {
    // Exclusive creation: of two concurrent starts, one succeeds.
    writeFileSync(path, JSON.stringify(identifyProcess(process.pid) ?? {}), { flag: 'wx' });
  } catch (cause) {
    throw new EngineStartError(`${stateDir} is being locked by another process`, { cause });
  }
  return () => rmSync(path, { force: true });
};

/** Deletes all stored state (`--reset`). @throws EngineStartError if it is in use. */
export const eraseState = (stateDir: string): void => {
  const unlock = lockStateDirectory(stateDir);
  for (const name of readdirSync(stateDir)) {
    if (stored.test(name)) rmSync(join(stateDir, name), { recursive: true, force: true });
  }
  unlock();
};
