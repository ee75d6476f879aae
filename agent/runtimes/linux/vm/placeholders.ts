import { access, copyFile, mkdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { makeEmptyLayer } from '../container/empty-layer.ts';
import type { LinuxDeps } from '../deps.ts';
import type { Placeholders } from './worker.ts';

/** The smallest ext4 with a journal, so that a rehearsal uses the same features as a container's layer. */
const PLACEHOLDER_MB = 8;

/**
 * The disks of a VM before it is assigned to a container: the image `mini` and an empty ext4. A template's rehearsal uses them.
 * Created once per host.
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
