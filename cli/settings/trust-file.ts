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
 * A settings file decides where this user's token and commands are sent, so only this user may be able to write or replace
 * it.
 */
const GROUP_WRITES = 0o020;
const OTHERS_WRITE = 0o002;
const STICKY = 0o1000;
const ROOT_USER = 0;
/** Linux has the same limit. */
const MAX_LINKS = 40;
/** Follows no link and does not block on a named pipe. */
const OPEN_FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/** By convention a group with the same id as a user has no other member. */
const isPrivateGroup = ({ uid, gid }: Stats): boolean => uid === gid;

const othersCanWrite = (stats: Stats): boolean =>
  (stats.mode & OTHERS_WRITE) !== 0 || ((stats.mode & GROUP_WRITES) !== 0 && !isPrivateGroup(stats));

/** In a folder with the sticky bit, such as /tmp, users cannot remove or rename files of others. */
const othersCanReplace = (stats: Stats): boolean => othersCanWrite(stats) && (stats.mode & STICKY) === 0;

interface Entry {
  readonly path: string;
  readonly stats: Stats;
}

/** The folders and links on the way to a file. */
interface Route {
  readonly links: readonly Entry[];
  /** All folders that were traversed. */
  readonly folders: readonly Entry[];
  readonly file: Entry;
}

const partsOf = (path: string): string[] => path.split(sep).filter((part) => part !== '' && part !== '.');

/** Resolves a path step by step, so that each link itself is checked, and not only its target. */
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
    if (links.push({ path: next, stats }) > MAX_LINKS)
      throw Object.assign(new TypeError('too many links'), { code: 'ELOOP' });
    const target = readlinkSync(next);
    rest.unshift(...partsOf(target));
    if (target.startsWith(sep)) at = { path: root, stats: lstatSync(root) };
  }
  return { links, folders, file: at };
};

/** The owner of a link can change its target between the check and the use. */
const whyLinksUntrusted = ({ links }: Route, userId: number): string | undefined => {
  const link = links.find(({ stats }) => stats.uid !== userId && stats.uid !== ROOT_USER);
  return link && `the symbolic link ${link.path} belongs to another user (id ${link.stats.uid})`;
};

/** Requirement for the file and its folder: owned by this user, and writable by no one else. */
const whyNotOwn = (entries: readonly Entry[], userId: number): string | undefined => {
  for (const { path, stats } of entries) {
    if (stats.uid !== userId) return `${path} belongs to another user (id ${stats.uid})`;
    if (othersCanWrite(stats)) return `other users can write ${path}`;
  }
  return undefined;
};

/**
 * Requirement for the folders above it: other users cannot replace their entries. Their owner is not checked, so that
 * `sudo npm start` works in a checkout of another user. A file that this owner replaces fails the check of its own owner.
 */
const whyReplaceable = ({ folders }: Route): string | undefined => {
  const folder = folders.find(({ stats }) => othersCanReplace(stats));
  return folder && `other users can write ${folder.path}`;
};

/** @param opened the opened file at the end of the path */
const whyNotTrusted = (path: string, route: Route, opened: Stats, userId: number): string | undefined => {
  const { path: target, stats } = route.file;
  if (!opened.isFile()) return `${target} is not a regular file`;
  if (opened.dev !== stats.dev || opened.ino !== stats.ino) return `${target} changed while it was checked`;
  const { file: folder } = follow(dirname(path));
  const own = [{ path: target, stats: opened }, ...route.folders.slice(-1), folder];
  return whyLinksUntrusted(route, userId) ?? whyNotOwn(own, userId) ?? whyReplaceable(route);
};

/** The text of a file, or why it is not trusted. */
type OwnFile = { readonly text: string } | { readonly why: string };

const isMissing = (error: unknown): boolean =>
  ['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '');

/**
 * Reads a file if it is trusted. It is opened once, so that the checked file is the one that is read.
 * @param userId id of this user; undefined on a system without user ids, where nothing is checked
 * @returns undefined if the file does not exist
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
