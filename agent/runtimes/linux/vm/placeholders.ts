import { access, copyFile, mkdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { makeEmptyLayer } from '../container/empty-layer.ts';
import type { LinuxDeps } from '../deps.ts';
import type { Placeholders } from './worker.ts';

/** The least that has a journal, as a container's layer has: a rehearsal is to be of the same kind. */
const PLACEHOLDER_MB = 8;

/**
 * The disks that a VM has until it is a container's: the image `mini` and an empty ext4. A template's rehearsal runs
 * on them. Made once a host.
 */
export const ensurePlaceholders = async ({ layout, artifacts }: LinuxDeps): Promise<Placeholders> => {
  const folder = join(layout.state, 'placeholders');
  const name = artifacts.manifest.mini.sha256.slice(0, 16);
  const squashfs = join(folder, `${name}.squashfs`);
  const ext4 = join(folder, 'empty-layer.ext4');
  await mkdir(folder, { recursive: true });
  if (!(await isThere(squashfs))) await copyWhole(artifacts.mini, squashfs);
  if (!(await isThere(ext4))) await makeEmptyLayer(ext4, PLACEHOLDER_MB);
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
