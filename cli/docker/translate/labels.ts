import type { Labels } from '../../../core/contract/primitives.ts';

/** Label of a `run --rm` container, which the bridge removes after it has ended and its output was sent. */
export const AUTO_REMOVE_LABEL = 'bulkhead.docker/auto-remove';

/** Label with the seconds of `--stop-timeout`, which `docker stop` without a time uses. */
export const STOP_TIMEOUT_LABEL = 'bulkhead.docker/stop-timeout';

/** Label with the image as it was requested, if the catalogue has another name for it. */
export const IMAGE_LABEL = 'bulkhead.docker/image';

/** Labels without the bridge's own. */
export const ownLabels = (labels: Labels): Labels => {
  const { [AUTO_REMOVE_LABEL]: _, [STOP_TIMEOUT_LABEL]: __, [IMAGE_LABEL]: ___, ...own } = labels;
  return own;
};

/** The image as it was requested. */
export const imageNameOf = ({ image, labels }: { readonly image: string; readonly labels: Labels }): string =>
  labels[IMAGE_LABEL] ?? image;

export const isAutoRemoved = (container: {
  readonly labels: Labels;
  readonly autoRemove: boolean;
}): boolean => container.autoRemove || container.labels[AUTO_REMOVE_LABEL] !== undefined;
