import { realpathSync, type Stats, statSync } from 'node:fs';
import { dirname } from 'node:path';

/**
 * A file with settings says where this user's token and commands go, so it must be this user's own: nobody else may be
 * able to write it or put another one in its place.
 */
const GROUP_WRITES = 0o020;
const OTHERS_WRITE = 0o002;
const STICKY = 0o1000;

/** By convention a group with its user's own number has no other member. */
const isPrivateGroup = ({ uid, gid }: Stats): boolean => uid === gid;

const othersCanWrite = (stats: Stats): boolean =>
  (stats.mode & OTHERS_WRITE) !== 0 || ((stats.mode & GROUP_WRITES) !== 0 && !isPrivateGroup(stats));

/** In a folder with the sticky bit, such as /tmp, nobody removes or renames what is another's. */
const othersCanReplace = (stats: Stats): boolean => othersCanWrite(stats) && (stats.mode & STICKY) === 0;

const foldersOf = (path: string): string[] => {
  const folder = dirname(path);
  return folder === path ? [] : [folder, ...foldersOf(folder)];
};

/** Of the file and its folder, where they are and where links lead: this user's, and writable by nobody else. */
const whyNotOwn = (paths: readonly string[], userId: number): string | undefined => {
  for (const path of paths) {
    const stats = statSync(path);
    if (stats.uid !== userId) return `${path} belongs to another user (id ${stats.uid})`;
    if (othersCanWrite(stats)) return `other users can write ${path}`;
  }
  return undefined;
};

/**
 * Of the folders above: not everybody can put another folder in the place of ours. Whose they are does not matter, such
 * as a checkout in which its owner ran `sudo npm start`: what they could put there would have to be this user's own.
 */
const whyReplaceable = (paths: readonly string[]): string | undefined => {
  const path = paths.find((one) => othersCanReplace(statSync(one)));
  return path === undefined ? undefined : `other users can write ${path}`;
};

/**
 * @param userId this user's; undefined on a system without such ids, where nothing is checked
 * @returns what is wrong; undefined for a file that can be trusted, or that is not there
 */
export const whyNotTrusted = (path: string, userId: number | undefined): string | undefined => {
  if (userId === undefined) return undefined;
  try {
    if (statSync(path, { throwIfNoEntry: false }) === undefined) return undefined;
    const target = realpathSync(path);
    const above = [...foldersOf(dirname(path)), ...foldersOf(target)];
    return whyNotOwn([target, dirname(target), dirname(path)], userId) ?? whyReplaceable(above);
  } catch (error) {
    return `it cannot be looked at (${(error as NodeJS.ErrnoException).code})`;
  }
};
