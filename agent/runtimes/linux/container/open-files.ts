import { readFileSync } from 'node:fs';

/** Files that a process of a container may have open. */
const WANTED = 65_536;

/** The same in both runtime types. Less where this machine allows the agent less: raising that takes a privilege. */
export const openFilesLimit = (): number => {
  const own = /^Max open files\s+\S+\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1];
  return Math.min(WANTED, Number(own ?? WANTED));
};
