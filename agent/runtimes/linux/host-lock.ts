import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import * as z from 'zod/mini';
import { RuntimeError } from '../../errors.ts';
import { createExclusively, readJson } from './files.ts';
import type { Layout } from './layout.ts';
import { identify, isAlive } from './proc.ts';

const HolderSchema = z.strictObject({ pid: z.int(), startTicks: z.number() });

/**
 * Locks the host, so that only this process manages it. Takes over the lock of a process that has ended.
 * @returns a function that releases the lock
 * @throws {RuntimeError} if another process holds the lock
 */
export const holdHostLock = async (layout: Layout): Promise<() => Promise<void>> => {
  const path = join(layout.run, 'agent.json');
  const text = JSON.stringify(identify(process.pid));
  while (!(await createExclusively(path, text))) {
    const holder = await readJson(path, HolderSchema);
    if (holder && isAlive(holder) && holder.pid !== process.pid)
      throw new RuntimeError('step-failed', `Another agent manages this host (process ${holder.pid})`, {
        suggestion: 'Stop it, or set another state folder with --state-dir.',
      });
    await rm(path, { force: true });
  }
  return () => rm(path, { force: true });
};
