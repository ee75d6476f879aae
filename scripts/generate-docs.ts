/**
 * `npm run docs` writes the generated documents; `npm run docs:check` (`--check`) lists those that
 * differ from the committed ones, and exits with 1 if there are any. Each `scripts/generate/*.ts` exports
 * `generate(): Promise<Map<path, content>>`, with paths relative to the checkout.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { differing, runGenerators } from './documents/run-generators.ts';

const root = new URL('..', import.meta.url).pathname;
const documents = await runGenerators(join(root, 'scripts/generate'));
const stale = differing(documents, root);

if (process.argv.includes('--check')) {
  for (const path of stale) console.error(`${path} is not up to date`);
  process.exitCode = stale.length === 0 ? 0 : 1;
} else {
  for (const path of stale) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), documents.get(path) ?? '');
    console.log(`wrote ${path}`);
  }
}
