import { opendir } from 'node:fs/promises';
import { join } from 'node:path';
import { RuntimeError } from '../../../errors.ts';

/** A layout has a folder for blobs, which has a folder for each digest algorithm. */
const MAX_DEPTH = 4;
const MAX_ENTRIES = 10_000;

const refuse = (what: string) => new RuntimeError('validation-failed', `The image is refused: ${what}`);

/**
 * Checks the folder of an OCI layout before a program that follows links reads it. All entries must be files or folders, so
 * that no file outside the folder is read.
 * @throws {RuntimeError} `validation-failed`
 */
export const checkLayoutFolder = async (folder: string): Promise<void> => {
  let entries = 0;
  const walk = async (path: string, depth: number): Promise<void> => {
    if (depth > MAX_DEPTH) throw refuse(`its folders are more than ${MAX_DEPTH} deep`);
    for await (const entry of await opendir(path)) {
      entries += 1;
      if (entries > MAX_ENTRIES) throw refuse(`its folder has more than ${MAX_ENTRIES} files`);
      if (entry.isDirectory()) await walk(join(path, entry.name), depth + 1);
      else if (!entry.isFile())
        throw refuse(`${JSON.stringify(entry.name)} in its folder is not a file. Replace links with files.`);
    }
  };
  await walk(folder, 1);
};
