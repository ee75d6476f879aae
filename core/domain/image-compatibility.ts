import type { HostOs } from '../contract/host.ts';
import type { ImageFacts } from '../contract/image.ts';
import type { RuntimeType } from '../contract/primitives.ts';

const LTSC_BUILDS = [14393, 17763, 20348, 26100];
const FIRST_BUILD_WITH_COMPATIBLE_PROCESS_ISOLATION = 20348;

const previousLtsc = (build: number): number => {
  const index = LTSC_BUILDS.findLastIndex((ltsc) => ltsc <= build);
  return LTSC_BUILDS[Math.max(0, index - 1)] ?? build;
};

/**
 * Why an image cannot run on a host with a runtime type; null if it can.
 * Windows' rule (Microsoft's version compatibility of Windows containers): process isolation needs
 * exactly the host's build before 20348, and from 20348 on an image of at least the previous LTSC and no newer
 * than the host; Hyper-V isolation takes any image that is no newer than the host.
 */
export const imageMismatch = (
  image: Pick<ImageFacts, 'name' | 'os' | 'osBuild' | 'architecture'>,
  host: { os: HostOs; architecture: string },
  runtimeType: RuntimeType,
): string | null => {
  if (image.os !== host.os.family) return `image ${image.name} is for ${image.os}`;
  if (image.architecture !== host.architecture) return `image ${image.name} is for ${image.architecture}`;
  if (image.os === 'linux') return null;
  if (image.osBuild > host.os.build)
    return `image ${image.name} is of build ${image.osBuild}, newer than the host's ${host.os.build}`;
  if (runtimeType === 'HyperV') return null;
  const oldest =
    host.os.build < FIRST_BUILD_WITH_COMPATIBLE_PROCESS_ISOLATION
      ? host.os.build
      : previousLtsc(host.os.build);
  return image.osBuild >= oldest
    ? null
    : `image ${image.name} is of build ${image.osBuild}; process isolation on build ${host.os.build} needs ${
        oldest === host.os.build ? 'the same build' : `build ${oldest} or newer`
      }`;
};
