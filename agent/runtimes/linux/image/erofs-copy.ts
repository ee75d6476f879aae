import { mkdir, open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { RuntimeError } from '../../../errors.ts';
import type { LinuxDeps } from '../deps.ts';
import { runCommand, runOrFail } from '../run-command.ts';

/** Offset of the pointer to the table of extended attributes in a squashfs, and its value if there is no table. */
const ATTRIBUTES_OFFSET = 56;
const NO_ATTRIBUTES = 2n ** 64n - 1n;
const TIMEOUT_MS = 15 * 60_000;

/**
 * Creates an erofs copy of a squashfs atomically. The squashfs is mounted in the imports folder, because an agent unmounts the
 * remains in that folder when it starts.
 */
export const makeErofsCopy = async (deps: LinuxDeps, squashfs: string, target: string): Promise<void> => {
  const mounted = join(deps.layout.state, 'imports', deps.newId());
  const partial = `${target}.new`;
  const what = 'The copy of the image for Default containers could not be created';
  await mkdir(mounted, { recursive: true, mode: 0o700 });
  try {
    await runOrFail(what, 'mount', ['-t', 'squashfs', '-o', 'loop,ro,nodev,nosuid', '--', squashfs, mounted]);
    await rm(partial, { force: true });
    // mkfs.erofs fails on a file system without extended attributes, unless -x-1 turns them off.
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
