#!/usr/bin/env node
/**
 * Bundles the CLI into one file for Node 20: `cli/dist/bulkhead.mjs`. npm runs this before it packs or links `cli/`.
 * Node does not strip types from installed packages, and a bundle needs no dependencies.
 */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = resolve(fileURLToPath(import.meta.url), '../..');
const { version } = JSON.parse(readFileSync(resolve(root, 'package.json'), 'utf8'));

/** CommonJS packages call `require`, which an ES module must create. Node 20 lacks `withResolvers`. */
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
