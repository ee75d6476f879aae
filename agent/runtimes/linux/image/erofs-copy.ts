import { mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { RuntimeError } from '../../../errors.ts';
import type { LinuxDeps } from '../deps.ts';
import { runCommand, runOrFail } from '../run-command.ts';

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
    await runOrFail(what, 'mkfs.erofs', ['-zlz4', '--quiet', partial, mounted], {
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
