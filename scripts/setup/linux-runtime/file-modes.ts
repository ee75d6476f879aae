import { chmod } from 'node:fs/promises';
import { join } from 'node:path';

/** The worker process of a utility VM reads the artifacts, and has its own user. */
const MODES: Readonly<Record<string, number>> = {
  '.': 0o755,
  vmlinux: 0o644,
  'initramfs.cpio': 0o644,
  'mini.squashfs': 0o644,
  helper: 0o755,
  'guest-memory.so': 0o755,
};

/** Sets the modes of the artifacts and of their folder, because those of new files depend on the umask of this process. */
export const setFileModes = async (folder: string): Promise<void> => {
  await Promise.all(Object.entries(MODES).map(([name, mode]) => chmod(join(folder, name), mode)));
};
