import { readdir, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';

export interface KernelModule {
  readonly name: string;
  readonly content: Buffer;
}

const MODULE_FILE = /\.ko(\.xz)?$/;
const nameOf = (path: string) => basename(path).replace(MODULE_FILE, '').replaceAll('-', '_');

/** The modules that `.modinfo` of a kernel module names in `depends=`. */
export const dependenciesOf = (module: Buffer): string[] => {
  const at = module.indexOf('\0depends=');
  if (at < 0) return [];
  const from = at + '\0depends='.length;
  const list = module.subarray(from, module.indexOf(0, from)).toString('latin1');
  return list === '' ? [] : list.split(',').map((name) => name.replaceAll('-', '_'));
};

/**
 * The wanted modules and their dependencies, each after its dependencies. A module that is built into the kernel has
 * no file and is skipped.
 * @param folder `lib/modules/<release>` of a kernel package
 * @param decompress unpacks a `.ko.xz`
 */
export const collectModules = async (
  folder: string,
  wanted: readonly string[],
  decompress: (path: string) => Promise<Buffer>,
): Promise<KernelModule[]> => {
  const files = (await readdir(folder, { recursive: true })).filter((path) => MODULE_FILE.test(path));
  const paths = new Map(files.map((path) => [nameOf(path), join(folder, path)]));
  const collected = new Map<string, KernelModule>();
  const collect = async (name: string): Promise<void> => {
    const path = paths.get(name);
    if (path === undefined || collected.has(name)) return;
    const content = path.endsWith('.xz') ? await decompress(path) : await readFile(path);
    for (const dependency of dependenciesOf(content)) await collect(dependency);
    collected.set(name, { name, content });
  };
  for (const name of wanted) await collect(name);
  return [...collected.values()];
};
