import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

/** Path relative to the checkout → content. */
export type Documents = ReadonlyMap<string, string>;

type Generator = () => Promise<Documents>;

/** A module in the generators' folder cannot be used. The message names it. */
export class GeneratorError extends Error {
  override readonly name = 'GeneratorError';
  readonly code = 'generator-unusable';
}

const generatorOf = async (file: string): Promise<Generator> => {
  const loaded: { readonly generate?: unknown } = await import(pathToFileURL(file).href);
  if (typeof loaded.generate !== 'function') throw new GeneratorError(`${file} exports no generate()`);
  return loaded.generate as Generator;
};

/**
 * Runs every generator of a folder.
 * @throws GeneratorError if a module exports no `generate`, or two write the same document.
 */
export const runGenerators = async (folder: string): Promise<Documents> => {
  const names = existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith('.ts')) : [];
  const all = new Map<string, string>();
  for (const name of names.sort()) {
    const generate = await generatorOf(join(folder, name));
    for (const [path, content] of await generate()) {
      if (all.has(path)) throw new GeneratorError(`${name} writes ${path}, which another generator writes`);
      all.set(path, content);
    }
  }
  return all;
};

/** Paths of the documents whose files under `root` are missing or differ. */
export const differing = (documents: Documents, root: string): readonly string[] =>
  [...documents]
    .filter(([path, content]) => {
      const file = join(root, path);
      return !existsSync(file) || readFileSync(file, 'utf8') !== content;
    })
    .map(([path]) => path);
