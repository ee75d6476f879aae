import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildSync } from 'esbuild';
import { SynthesisError } from '../errors.ts';

/** What the SDK imports only when its turn comes, which it never does here: operations that stream events. */
const NEVER_LOADED = ['@smithy/core/event-streams'];

const replacement = (file: string) => fileURLToPath(new URL(`./replacements/${file}`, import.meta.url));

/** Parts of the SDK that are large, and of no use in Lambda: every byte makes a cold start longer. */
const REPLACEMENTS = {
  '@aws-sdk/credential-provider-node': replacement('environment-credentials.ts'),
  '@aws-sdk/endpoint-cache': replacement('endpoint-cache.ts'),
};

export interface FunctionAssets {
  /** The folder with `index.mjs` of the function. */
  readonly directoryOf: (name: string) => string;
  /** Frees what {@link bundleFunctions} made, once the assets have been staged. */
  readonly dispose: () => void;
}

const entryOf = (root: string, name: string) => join(root, name, 'index.ts');

/**
 * Bundles each function of `names` from `<root>/<name>/index.ts`, with the SDK in it, as a minified ES module. All in
 * one run, so that what they share is read and parsed once.
 *
 * @throws SynthesisError when a function has no `index.ts`, or esbuild refuses one.
 */
export const bundleFunctions = (root: string, names: readonly string[]): FunctionAssets => {
  const missing = names.filter((name) => !existsSync(entryOf(root, name)));
  if (missing.length > 0) {
    throw new SynthesisError(`No index.ts for the functions ${missing.join(', ')} in ${root}.`);
  }
  const outdir = mkdtempSync(join(tmpdir(), 'bulkhead-functions-'));
  const dispose = () => rmSync(outdir, { recursive: true, force: true });
  try {
    buildSync({
      entryPoints: names.map((name) => ({ in: entryOf(root, name), out: join(name, 'index') })),
      outdir,
      outExtension: { '.js': '.mjs' },
      bundle: true,
      format: 'esm',
      platform: 'node',
      target: 'node24',
      minify: true,
      mainFields: ['module', 'main'],
      external: NEVER_LOADED,
      alias: REPLACEMENTS,
      charset: 'utf8',
      legalComments: 'none',
      logLevel: 'silent',
    });
  } catch (cause) {
    dispose();
    throw new SynthesisError(`The functions in ${root} can't be bundled: ${String(cause)}`, { cause });
  }
  return { directoryOf: (name) => join(outdir, name), dispose };
};

/**
 * Functions that somebody else has bundled: `<directory>/<name>/index.mjs`.
 *
 * @throws SynthesisError when one is missing.
 */
export const prebundledFunctions = (directory: string, names: readonly string[]): FunctionAssets => {
  const missing = names.filter((name) => !existsSync(join(directory, name, 'index.mjs')));
  if (missing.length > 0) {
    throw new SynthesisError(`No index.mjs for the functions ${missing.join(', ')} in ${directory}.`);
  }
  return { directoryOf: (name) => join(directory, name), dispose: () => undefined };
};

/** Names of the functions that have a folder with an `index.ts` in `root`. */
export const functionsIn = (root: string): string[] =>
  readdirSync(root, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && existsSync(entryOf(root, entry.name)))
    .map((entry) => entry.name)
    .sort();
