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
 *
 * The Windows rules are from Microsoft's page on version compatibility of Windows containers:
 * - No image can be newer than the host.
 * - Hyper-V isolation accepts every other image.
 * - Process isolation on a host older than build 20348 requires the host's build.
 * - Process isolation on a newer host requires at least the previous LTSC build.
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
