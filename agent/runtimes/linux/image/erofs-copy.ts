import { mkdir, open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { RuntimeError } from '../../../errors.ts';
import type { LinuxDeps } from '../deps.ts';
import { runCommand, runOrFail } from '../run-command.ts';

/** Where a squashfs says where its table of extended attributes is, and what it says when it has none. */
const ATTRIBUTES_OFFSET = 56;
const NO_ATTRIBUTES = 2n ** 64n - 1n;
const TIMEOUT_MS = 15 * 60_000;

/**
 * Makes an erofs with what a squashfs has, whole or not at all. The squashfs is mounted among the imports, from where
 * the start of an agent unmounts what an earlier one left.
 */
export const makeErofsCopy = async (deps: LinuxDeps, squashfs: string, target: string): Promise<void> => {
  const mounted = join(deps.layout.state, 'imports', deps.newId());
  const partial = `${target}.new`;
  const what = 'The copy of the image for Default containers could not be made';
  await mkdir(mounted, { recursive: true, mode: 0o700 });
  try {
    await runOrFail(what, 'mount', ['-t', 'squashfs', '-o', 'loop,ro,nodev,nosuid', '--', squashfs, mounted]);
    await rm(partial, { force: true });
    // The program fails over a file system that has no attributes, unless it is to leave them out.
    const options = ['-zlz4', '--quiet', ...((await hasAttributes(squashfs)) ? [] : ['-x-1'])];
    await runOrFail(what, 'mkfs.erofs', [...options, partial, mounted], {
      timeoutMs: TIMEOUT_MS,
    }).catch((error: RuntimeError) => {
      throw new RuntimeError('step-failed', error.message, {
        suggestion: 'This kernel can’t idmap squashfs (Linux 6.2 can): install the package erofs-utils.',
        cause: error,
      });
    });
    await rename(partial, target);
  } finally {
    await runCommand('umount', ['--', mounted]);
    await rm(mounted, { recursive: true, force: true });
  }
};

const hasAttributes = async (squashfs: string): Promise<boolean> => {
  const file = await open(squashfs, 'r');
  try {
    const { buffer } = await file.read(Buffer.alloc(8), 0, 8, ATTRIBUTES_OFFSET);
    return buffer.readBigUInt64LE() !== NO_ATTRIBUTES;
  } finally {
    await file.close();
  }
};
