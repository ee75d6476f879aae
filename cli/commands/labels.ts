import type { Labels } from '../../core/contract/primitives.ts';

export interface LabelOptions {
  readonly label?: Readonly<Record<string, string>>;
  readonly removeLabel?: readonly string[];
}

/** Labels after `--label` and `--remove-label`. */
export const changedLabels = (before: Labels, { label = {}, removeLabel = [] }: LabelOptions): Labels => {
  const kept = Object.entries({ ...before, ...label }).filter(([key]) => !removeLabel.includes(key));
  return Object.fromEntries(kept);
};
