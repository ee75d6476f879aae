import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import * as z from 'zod/mini';
import { RuntimeError } from '../../errors.ts';
import { createExclusively, readJson } from './files.ts';
import type { Layout } from './layout.ts';
import { identify, isAlive } from './proc.ts';

const HolderSchema = z.strictObject({ pid: z.int(), startTicks: z.number() });

/**
 * Makes this process the only one that drives the host. One whose holder has died is taken over.
 * @returns a function that releases it
 * @throws {RuntimeError} when another process has it
 */
export const holdHostLock = async (layout: Layout): Promise<() => Promise<void>> => {
  const path = join(layout.run, 'agent.json');
  const text = JSON.stringify(identify(process.pid));
  while (!(await createExclusively(path, text))) {
    const holder = await readJson(path, HolderSchema);
    if (holder && isAlive(holder) && holder.pid !== process.pid)
      throw new RuntimeError('step-failed', `Another agent drives this host (process ${holder.pid})`, {
        suggestion: 'Stop it, or give this one a state folder of its own.',
      });
    await rm(path, { force: true });
  }
  return () => rm(path, { force: true });
};
