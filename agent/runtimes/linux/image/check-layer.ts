import { type ImageLimits, readArchive, refuse, type Totals } from './read-archive.ts';

/** Whether a path, followed from a folder `depth` levels below the root, climbs above the root. */
const climbsOut = (path: string, depth: number): boolean => {
  let level = depth;
  for (const part of path.split('/')) {
    if (part === '..') level--;
    else if (part !== '' && part !== '.') level++;
    if (level < 0) return true;
  }
  return false;
};

const depthOf = (path: string): number =>
  path.split('/').filter((part) => part !== '' && part !== '.').length - 1;

/** The longest path that the kernel accepts, and far more folders than images nest. */
const LONGEST_PATH = 4_096;
const DEEPEST = 128;

/**
 * The program that unpacks an image looks up every folder of every path, so nested folders take it time with the square of
 * their number.
 */
const checkLength = (name: string, target: string): void => {
  if (Math.max(name.length, target.length) > LONGEST_PATH)
    throw refuse(`it has a path of more than ${LONGEST_PATH} characters`);
  if (depthOf(name) > DEEPEST) throw refuse(`it has more than ${DEEPEST} nested folders`);
};

/** @throws {RuntimeError} if a path or link leads out of the image, is too long or too deep */
export const checkEntry = (name: string, kind: string, target: string): void => {
  checkLength(name, target);
  if (name.startsWith('/')) throw refuse(`it has the absolute path ${JSON.stringify(name)}`);
  if (name.split('/').includes('..'))
    throw refuse(`it has the path ${JSON.stringify(name)}, which contains ".."`);
  if (kind === 'link' && (target.startsWith('/') || target.split('/').includes('..')))
    throw refuse(`${JSON.stringify(name)} links to ${JSON.stringify(target)}, which is outside the image`);
  // An absolute symbolic link stays in the container, whose root is the image. A relative link must not lead above the root.
  if (kind === 'symlink' && !target.startsWith('/') && climbsOut(target, depthOf(name)))
    throw refuse(`${JSON.stringify(name)} links to ${JSON.stringify(target)}, which is outside the image`);
};

/**
 * Reads a whole layer.
 * @param totals the totals of the previous layers, to which this layer is added
 * @throws {RuntimeError} `validation-failed` for paths and links that lead out of the image, and above the limits
 */
export const checkLayer = (
  path: string,
  totals: Totals,
  limits: ImageLimits,
  signal?: AbortSignal,
): Promise<void> =>
  readArchive(path, { totals, limits, signal }, ({ name, type, linkname }, content, next) => {
    checkEntry(name, type ?? '', linkname ?? '');
    content.on('end', next);
    content.resume();
  });
