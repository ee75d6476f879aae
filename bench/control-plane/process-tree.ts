import { readdirSync, readFileSync } from 'node:fs';

/** Clock ticks per second in `/proc`. Linux uses 100 on every architecture that Node supports. */
const TICKS = 100;

interface Process {
  readonly pid: number;
  readonly parent: number;
  /** Of the process, and of its ended children that it has waited for. */
  readonly cpuSeconds: number;
}

/** @returns null if the process has ended */
const readProcess = (pid: number): Process | null => {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The program's name, in parentheses, may contain spaces.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    const ticks = fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0);
    return { pid, parent: Number(fields[1]), cpuSeconds: ticks / TICKS };
  } catch {
    return null;
  }
};

const allProcesses = (): Process[] =>
  readdirSync('/proc')
    .map(Number)
    .filter((pid) => pid > 0)
    .flatMap((pid) => readProcess(pid) ?? []);

/** A process and all of its descendants. */
const treeOf = (root: number): Process[] => {
  const all = allProcesses();
  const tree = all.filter(({ pid }) => pid === root);
  for (const { pid } of tree) tree.push(...all.filter(({ parent }) => parent === pid));
  return tree;
};

const pssOf = (pid: number): number => {
  try {
    const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
    return Number(/^Pss:\s+(\d+)/m.exec(text)?.[1] ?? 0) / 1024;
  } catch {
    return 0;
  }
};

const commandOf = (pid: number): string => {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
  } catch {
    return '';
  }
};

/** User and system time that a process and its descendants have used, in seconds. */
export const cpuSeconds = (root: number): number =>
  treeOf(root).reduce((sum, one) => sum + one.cpuSeconds, 0);

/**
 * Memory (PSS) of a process and its descendants, in MiB, by kind.
 *
 * @param kinds patterns of the command lines; a process of no kind counts as `other`
 */
export const memoryByKind = (
  root: number,
  kinds: Readonly<Record<string, RegExp>>,
): ReadonlyMap<string, number> => {
  const sums = new Map<string, number>();
  for (const { pid } of treeOf(root)) {
    const command = commandOf(pid);
    const kind = Object.entries(kinds).find(([, pattern]) => pattern.test(command))?.[0] ?? 'other';
    sums.set(kind, (sums.get(kind) ?? 0) + pssOf(pid));
  }
  return sums;
};
