import type { Labels } from '../../../core/contract/primitives.ts';

/** On containers that the bridge itself removes once they have ended and their output is out: `run --rm`. */
export const AUTO_REMOVE_LABEL = 'bulkhead.docker/auto-remove';

/** Labels as their owner gave them. */
export const ownLabels = (labels: Labels): Labels => {
  const { [AUTO_REMOVE_LABEL]: _, ...own } = labels;
  return own;
};

export const isAutoRemoved = (container: {
  readonly labels: Labels;
  readonly autoRemove: boolean;
}): boolean => container.autoRemove || container.labels[AUTO_REMOVE_LABEL] !== undefined;
