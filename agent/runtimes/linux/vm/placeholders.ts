import { access, copyFile, mkdir, rename, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { LinuxDeps } from '../deps.ts';
import { runOrFail } from '../run-command.ts';
import type { Placeholders } from './worker.ts';

const PLACEHOLDER_BYTES = 8 * 1024 * 1024;

/**
 * The disks that a VM has until it is a container's: the image `mini` and an empty ext4. A rehearsal in the pool
 * runs on them. Made once a host.
 */
export const ensurePlaceholders = async ({ layout, artifacts }: LinuxDeps): Promise<Placeholders> => {
  const folder = join(layout.state, 'placeholders');
  const name = artifacts.manifest.mini.sha256.slice(0, 16);
  const squashfs = join(folder, `${name}.squashfs`);
  const ext4 = join(folder, 'empty.ext4');
  await mkdir(folder, { recursive: true });
  if (!(await isThere(squashfs))) await copyWhole(artifacts.mini, squashfs);
  if (!(await isThere(ext4))) {
    const partial = `${ext4}.new`;
    await rm(partial, { force: true });
    await writeFile(partial, '');
    await truncate(partial, PLACEHOLDER_BYTES);
    await runOrFail('The placeholder disk could not be made', 'mkfs.ext4', [
      '-q',
      '-F',
      '-O',
      '^has_journal',
      '--',
      partial,
    ]);
    await rename(partial, ext4);
  }
  return { squashfs, ext4 };
};

const isThere = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );

const copyWhole = async (from: string, to: string): Promise<void> => {
  await copyFile(from, `${to}.new`);
  await rename(`${to}.new`, to);
};
