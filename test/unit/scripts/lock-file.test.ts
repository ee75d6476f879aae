import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { expect, test } from '@jest/globals';

interface Locked {
  readonly version?: string;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

const { packages } = JSON.parse(
  readFileSync(resolve(import.meta.dirname, '../../../package-lock.json'), 'utf8'),
) as { readonly packages: Readonly<Record<string, Locked>> };

/** The paths where Node searches for `name` from `path`. */
const isLocked = (path: string, name: string): boolean => {
  const folders = path.split('/node_modules/');
  return folders.some((_, kept) => {
    const parent = folders.slice(0, folders.length - kept).join('/node_modules/');
    return packages[`${parent}/node_modules/${name}`] !== undefined;
  });
};

// With an existing node_modules, npm writes only installed packages to the lock file. `npm ci` then fails in a clean checkout.
test('the lock file has the optional packages of every platform', () => {
  const missing = Object.entries(packages).flatMap(([path, { optionalDependencies = {} }]) =>
    Object.keys(optionalDependencies)
      .filter((name) => packages[`node_modules/${name}`] === undefined && !isLocked(path, name))
      .map((name) => `${path} → ${name}`),
  );
  expect(missing).toEqual([]);
});
