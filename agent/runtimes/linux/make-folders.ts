import { chmod, mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Layout } from './layout.ts';

/** The folders of a host, open to others as far as workers and containers need. */
export const makeFolders = async (layout: Layout): Promise<void> => {
  const owned = [
    layout.images,
    layout.containers,
    layout.templates,
    layout.vmDisks,
    layout.runVms,
    layout.runContainers,
    layout.runImages,
  ];
  await Promise.all(owned.map((folder) => mkdir(folder, { recursive: true })));
  // Others may pass through to what is theirs, and see nothing else.
  for (const folder of [dirname(layout.run), layout.run, layout.runVms, layout.runContainers, layout.vmDisks])
    await chmod(folder, 0o711);
  for (const folder of [layout.containers, layout.templates]) await chmod(folder, 0o700);
};
