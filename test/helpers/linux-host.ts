import { randomBytes, randomUUID } from 'node:crypto';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '../../agent/clock.ts';
import type { Log } from '../../agent/log.ts';
import { type LinuxHostOptions, openLinuxHost } from '../../agent/runtimes/linux/host-parts.ts';
import type { LinuxRuntime } from '../../agent/runtimes/linux/linux-runtime.ts';
import { artifactsFolder, SetUpRefusedError, setUpLinuxRuntime } from '../../scripts/setup/linux-runtime.ts';

const ROOT = new URL('../..', import.meta.url).pathname;
const SILENT: Log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

/**
 * Whether this machine can be a real host. Where it cannot, tests of real hosts are not run, and say why: only a
 * machine without the privileges, the packages or a way to install them is such a one.
 */
export const canHostLinux = async (): Promise<boolean> => {
  try {
    await setUpLinuxRuntime({ root: ROOT, report: (line) => process.stderr.write(`${line}\n`) });
    return true;
  } catch (error) {
    if (!(error instanceof SetUpRefusedError)) throw error;
    process.stderr.write(`Tests of real Linux hosts are not run: ${error.message} ${error.suggestion}\n`);
    return false;
  }
};

/** A folder for one test file's hosts: what is made once (templates, an empty layer) is made once for all of them. */
export const linuxHostFolder = (name: string): string => {
  const folder = join(ROOT, '.bulkhead', 'test-hosts', name);
  mkdirSync(folder, { recursive: true });
  return folder;
};

export const removeFolder = (folder: string): void => rmSync(folder, { recursive: true, force: true });

export const openTestHost = (
  stateFolder: string,
  options: Partial<LinuxHostOptions> = {},
): Promise<LinuxRuntime> =>
  openLinuxHost({
    clock: systemClock,
    log: SILENT,
    newId: randomUUID,
    randomBytes,
    artifactsFolder: artifactsFolder(ROOT),
    stateFolder,
    poolSize: 0,
    poolResources: { memoryMB: 128, cpus: 1 },
    imageFolders: [],
    ...options,
  });
