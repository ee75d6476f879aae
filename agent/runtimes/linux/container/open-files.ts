import { readFileSync } from 'node:fs';

/** The wanted limit of open files for a process of a container. */
const WANTED = 65_536;

/** The limit for both runtime types. It is lower if the agent's limit is lower, because raising that needs a privilege. */
export const openFilesLimit = (): number => {
  const own = /^Max open files\s+\S+\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1];
  return Math.min(WANTED, Number(own ?? WANTED));
};
