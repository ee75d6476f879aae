import { InvalidArgumentError } from 'commander';
import { readCeilingRange } from '../core/network/network-policy.ts';

/** Values of `--allow-private`, in canonical form and without duplicates. @throws InvalidArgumentError */
export const collectCeilingRange = (text: string, before: readonly string[]): string[] => {
  const read = readCeilingRange(text);
  if (read.kind === 'refused') throw new InvalidArgumentError(read.why);
  return [...new Set([...before, read.text])];
};
