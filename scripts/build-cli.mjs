#!/usr/bin/env node
/**
 * The CLI as one file that Node 20 runs: `cli/dist/bulkhead.mjs`. npm runs this before it packs or links `cli/`, for
 * Node doesn't strip types from what is installed as a package, and so the package needs no other.
 */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = resolve(fileURLToPath(import.meta.url), '../..');
const { version } = JSON.parse(readFileSync(resolve(root, 'package.json'), 'utf8'));

/** Packages of the older kind call `require`, which an ES module has to make for itself; Node 20 lacks `withResolvers`. */
const BANNER = `import { createRequire } from 'node:module';
const require = createRequire(import.meta.url);
Promise.withResolvers ??= () => {
  const deferred = {};
  deferred.promise = new Promise((resolve, reject) => Object.assign(deferred, { resolve, reject }));
  return deferred;
};`;

await build({
  absWorkingDir: root,
  entryPoints: ['bin/bulkhead.ts'],
  outfile: 'cli/dist/bulkhead.mjs',
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node20',
  minifySyntax: true,
  define: { BULKHEAD_CLI_VERSION: JSON.stringify(version) },
  banner: { js: BANNER },
  logLevel: 'warning',
});
