import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf } from '../../../errors.ts';
import type { LinuxDeps } from '../deps.ts';
import { IMAGE_FORMATS, type ImageFormat, type ImageStore, miniDigest } from '../image/image-store.ts';
import { containerPaths } from '../layout.ts';
import type { DefaultContainers } from './default-containers.ts';
import { makeEmptyLayer } from './empty-layer.ts';
import type { UserNamespaces } from './user-namespaces.ts';

/** Not the id of a container, because those are UUIDs. */
const PROBE = 'probe';
/** Size of a layer in memory, so that a full disk does not affect the result. */
const LAYER_MB = 16;

interface Parts {
  readonly images: ImageStore;
  readonly defaults: DefaultContainers;
  readonly userNamespaces: UserNamespaces;
}

/**
 * Determines which image format this kernel can mount for a user namespace, by assembling the root file system of a container
 * of `mini`. Squashfs needs Linux 6.2; erofs and overlay need 5.19. Returns null if no format works. This machine can't run
 * Default containers then.
 */
export const probeIdmaps = async (deps: LinuxDeps, parts: Parts): Promise<ImageFormat | null> => {
  const { run } = containerPaths(deps.layout, PROBE);
  const scratch = join(run, 'scratch.ext4');
  await removeProbe(deps, parts);
  for (const format of IMAGE_FORMATS) {
    parts.images.useFormat(format);
    try {
      await mkdir(run, { recursive: true });
      await makeEmptyLayer(scratch, LAYER_MB);
      const image = await parts.images.mountable(miniDigest(deps.artifacts));
      await parts.defaults.mountLayers(PROBE, image, await parts.userNamespaces.take(PROBE), {
        scratch,
      });
      return format;
    } catch (error) {
      deps.log.info('images of a format can’t be mounted for user namespaces', {
        format,
        reason: messageOf(error),
      });
    } finally {
      await removeProbe(deps, parts);
    }
  }
  parts.images.useFormat(null);
  return null;
};

/** Also removes the remains of an agent that was killed during the test. */
const removeProbe = async ({ layout }: LinuxDeps, { defaults, userNamespaces }: Parts): Promise<void> => {
  const { run } = containerPaths(layout, PROBE);
  await defaults.unmountLayers(PROBE);
  await userNamespaces.remove(PROBE);
  await rm(run, { recursive: true, force: true });
};
