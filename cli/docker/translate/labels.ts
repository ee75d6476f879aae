import type { Labels } from '../../../core/contract/primitives.ts';

/** Label of containers that the bridge removes once they have ended and their output was sent: `run --rm`. */
export const AUTO_REMOVE_LABEL = 'bulkhead.docker/auto-remove';

/** Labels without the bridge's own. */
export const ownLabels = (labels: Labels): Labels => {
  const { [AUTO_REMOVE_LABEL]: _, ...own } = labels;
  return own;
};

export const isAutoRemoved = (container: {
  readonly labels: Labels;
  readonly autoRemove: boolean;
}): boolean => container.autoRemove || container.labels[AUTO_REMOVE_LABEL] !== undefined;
