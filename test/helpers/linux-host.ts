import { randomBytes, randomUUID } from 'node:crypto';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '../../agent/clock.ts';
import { executePlan } from '../../agent/execute/execute-plan.ts';
import { StepRecorder } from '../../agent/execute/step-recorder.ts';
import type { Log } from '../../agent/log.ts';
import { plan, type Target } from '../../agent/plan/plan.ts';
import type { LinuxRuntime } from '../../agent/runtimes/linux/linux-runtime.ts';
import { type LinuxHostOptions, openLinuxHost } from '../../agent/runtimes/linux/open-host.ts';
import type { Runtime, RuntimeContainer } from '../../agent/runtimes/runtime.ts';
import type { AssignedContainer } from '../../core/contract/agent/commands.ts';
import { artifactsFolder, SetUpRefusedError, setUpLinuxRuntime } from '../../scripts/setup/linux-runtime.ts';
import { recordOpenedHost } from './test-run.ts';

const ROOT = new URL('../..', import.meta.url).pathname;
const SILENT: Log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

/**
 * Whether this machine can be a real host. If not, tests of real hosts are skipped with the reason. That is only
 * allowed if the machine lacks the privileges, the packages or a way to install them.
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

/** A folder for all hosts of one test file, so that templates and empty layers are created only once. */
export const linuxHostFolder = (name: string): string => {
  const folder = join(ROOT, '.bulkhead', 'test-hosts', name);
  mkdirSync(folder, { recursive: true });
  return folder;
};

export const removeFolder = (folder: string): void => rmSync(folder, { recursive: true, force: true });

export const openTestHost = (
  stateFolder: string,
  options: Partial<LinuxHostOptions> = {},
): Promise<LinuxRuntime> => {
  // The agent has the same umask.
  process.umask(0o077);
  recordOpenedHost(stateFolder);
  return openLinuxHost({
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
};

const never = new AbortController().signal;

export const inspectContainer = async (runtime: Runtime, id: string): Promise<RuntimeContainer | null> =>
  (await runtime.inspect(id))[0] ?? null;

/** Brings a container to a state, as the agent does, with consent to mount an untrusted disk. */
export const bring = async (
  runtime: Runtime,
  id: string,
  container: AssignedContainer | null,
  target: Target,
  instanceId: string = randomUUID(),
  signal: AbortSignal = never,
): Promise<void> => {
  const acceptUntrustedDisk = true;
  const assignment = {
    containerId: id,
    container,
    target,
    stopTimeoutSeconds: 0,
    instanceId,
    acceptUntrustedDisk,
  };
  const recorder = new StepRecorder(systemClock, () => undefined);
  const steps = plan(assignment, await inspectContainer(runtime, id));
  await executePlan({ runtime, clock: systemClock }, steps, { recorder, signal });
};

export const removeAllContainers = async (runtime: Runtime): Promise<void> => {
  for (const { id } of await runtime.inspect()) await bring(runtime, id, null, 'Absent');
};

/** Waits until the condition is true. If it never is, the test fails at its own time limit. */
export const until = async (isSo: () => boolean | Promise<boolean>): Promise<void> => {
  while (!(await isSo())) await new Promise((resolve) => setTimeout(resolve, 10));
};
