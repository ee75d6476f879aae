import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readFileSync,
  readlinkSync,
  type Stats,
} from 'node:fs';
import { dirname, join, parse, resolve, sep } from 'node:path';

/**
 * A file with settings says where this user's token and commands go, so it must be this user's own: nobody else may be
 * able to write it or put another one in its place.
 */
const GROUP_WRITES = 0o020;
const OTHERS_WRITE = 0o002;
const STICKY = 0o1000;
const ROOT_USER = 0;
/** As in Linux. */
const MOST_LINKS = 40;
/** Opens no link and does not wait for the other end of a named pipe. */
const OPEN_FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/** By convention a group with its user's own number has no other member. */
const isPrivateGroup = ({ uid, gid }: Stats): boolean => uid === gid;

const othersCanWrite = (stats: Stats): boolean =>
  (stats.mode & OTHERS_WRITE) !== 0 || ((stats.mode & GROUP_WRITES) !== 0 && !isPrivateGroup(stats));

/** In a folder with the sticky bit, such as /tmp, nobody removes or renames what is another's. */
const othersCanReplace = (stats: Stats): boolean => othersCanWrite(stats) && (stats.mode & STICKY) === 0;

interface Entry {
  readonly path: string;
  readonly stats: Stats;
}

/** What a path leads through to a file. */
interface Route {
  readonly links: readonly Entry[];
  /** All folders that a name was looked up in. */
  readonly folders: readonly Entry[];
  readonly file: Entry;
}

const partsOf = (path: string): string[] => path.split(sep).filter((part) => part !== '' && part !== '.');

/** Follows a path name by name, so that each link is seen itself, and not only what it leads to. */
const follow = (path: string): Route => {
  const { root } = parse(path);
  const links: Entry[] = [];
  const folders: Entry[] = [];
  const rest = partsOf(path.slice(root.length));
  let at: Entry = { path: root, stats: lstatSync(root) };
  for (let name = rest.shift(); name !== undefined; name = rest.shift()) {
    folders.push(at);
    const next = name === '..' ? dirname(at.path) : join(at.path, name);
    const stats = lstatSync(next);
    if (!stats.isSymbolicLink()) {
      at = { path: next, stats };
      continue;
    }
    if (links.push({ path: next, stats }) > MOST_LINKS)
      throw Object.assign(new TypeError('too many links'), { code: 'ELOOP' });
    const target = readlinkSync(next);
    rest.unshift(...partsOf(target));
    if (target.startsWith(sep)) at = { path: root, stats: lstatSync(root) };
  }
  return { links, folders, file: at };
};

/** Who owns a link decides where it leads, and can change that between a check and the use. */
const whyLinksUntrusted = ({ links }: Route, userId: number): string | undefined => {
  const link = links.find(({ stats }) => stats.uid !== userId && stats.uid !== ROOT_USER);
  return link && `the symbolic link ${link.path} belongs to another user (id ${link.stats.uid})`;
};

/** Of the file and its folder: this user's, and writable by nobody else. */
const whyNotOwn = (entries: readonly Entry[], userId: number): string | undefined => {
  for (const { path, stats } of entries) {
    if (stats.uid !== userId) return `${path} belongs to another user (id ${stats.uid})`;
    if (othersCanWrite(stats)) return `other users can write ${path}`;
  }
  return undefined;
};

/**
 * Of the folders above: not everybody can put another folder in the place of ours. Whose they are does not matter, such
 * as a checkout in which its owner ran `sudo npm start`: what they could put there would have to be this user's own.
 */
const whyReplaceable = ({ folders }: Route): string | undefined => {
  const folder = folders.find(({ stats }) => othersCanReplace(stats));
  return folder && `other users can write ${folder.path}`;
};

/** @param opened the file that is open, at the end of the route */
const whyNotTrusted = (path: string, route: Route, opened: Stats, userId: number): string | undefined => {
  const { path: target, stats } = route.file;
  if (!opened.isFile()) return `${target} is not a regular file`;
  if (opened.dev !== stats.dev || opened.ino !== stats.ino) return `${target} changed while it was checked`;
  const { file: folder } = follow(dirname(path));
  const own = [{ path: target, stats: opened }, ...route.folders.slice(-1), folder];
  return whyLinksUntrusted(route, userId) ?? whyNotOwn(own, userId) ?? whyReplaceable(route);
};

/** A file's text, or why it cannot be trusted. */
type OwnFile = { readonly text: string } | { readonly why: string };

const isMissing = (error: unknown): boolean =>
  ['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '');

/**
 * Reads a file if it can be trusted. It is opened once: what is checked is what is read.
 * @param userId this user's; undefined on a system without such ids, where nothing is checked
 * @returns undefined where there is no such file
 */
export const readOwnFile = (
  path: string,
  userId: number | undefined,
  open: typeof openSync = openSync,
): OwnFile | undefined => {
  let descriptor: number | undefined;
  try {
    if (userId === undefined) return { text: readFileSync(path, 'utf8') };
    const route = follow(resolve(path));
    descriptor = open(route.file.path, OPEN_FLAGS);
    const why = whyNotTrusted(resolve(path), route, fstatSync(descriptor), userId);
    return why === undefined ? { text: readFileSync(descriptor, 'utf8') } : { why };
  } catch (error) {
    if (isMissing(error)) return undefined;
    return { why: `it cannot be read (${(error as NodeJS.ErrnoException).code})` };
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
};
