import { chmod, mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Layout } from './layout.ts';

/** Creates the folders of a host, with the access that workers and containers need. */
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
  // Other users can traverse these folders to their own files, but cannot list them.
  for (const folder of [dirname(layout.run), layout.run, layout.runVms, layout.runContainers, layout.vmDisks])
    await chmod(folder, 0o711);
  for (const folder of [layout.containers, layout.templates]) await chmod(folder, 0o700);
};
