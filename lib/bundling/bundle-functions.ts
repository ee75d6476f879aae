import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { SynthesisError } from '../errors.ts';
import type { BundleOrder } from './run-esbuild.ts';

const PROGRAM = fileURLToPath(new URL('./run-esbuild.ts', import.meta.url));

export interface FunctionAssets {
  /** The folder with the function's `index.mjs`. */
  readonly directoryOf: (name: string) => string;
  /** Deletes the output of {@link bundleFunctions} once the assets have been staged. */
  readonly dispose: () => void;
}

const entryOf = (root: string, name: string) => join(root, name, 'index.ts');

export interface BundledFunctions extends FunctionAssets {
  /** SDK files, relative to `node_modules`, that were trimmed (trim-sdk.ts). */
  readonly trimmed: readonly string[];
}

const runEsbuild = (order: BundleOrder): readonly string[] => {
  const printed = execFileSync(process.execPath, [PROGRAM, JSON.stringify(order)], {
    encoding: 'utf8',
    // Its error output goes into the exception, not to the terminal.
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  return JSON.parse(printed) as string[];
};

const reasonOf = (cause: unknown): string => (cause as { stderr?: string }).stderr || String(cause);

/**
 * Bundles each function of `names` from `<root>/<name>/index.ts`, with the SDK in it, as a minified ES module. One run
 * for all, so that shared files are read and parsed once.
 *
 * @throws SynthesisError when a function has no `index.ts`, esbuild fails, or the SDK is not the one that
 * trim-sdk.ts was written for.
 */
export const bundleFunctions = (root: string, names: readonly string[]): BundledFunctions => {
  const missing = names.filter((name) => !existsSync(entryOf(root, name)));
  if (missing.length > 0) {
    throw new SynthesisError(`No index.ts for the functions ${missing.join(', ')} in ${root}.`);
  }
  const outdir = mkdtempSync(join(tmpdir(), 'bulkhead-functions-'));
  const dispose = () => rmSync(outdir, { recursive: true, force: true });
  try {
    const entries = names.map((name) => ({ in: entryOf(root, name), out: join(name, 'index') }));
    return { directoryOf: (name) => join(outdir, name), dispose, trimmed: runEsbuild({ outdir, entries }) };
  } catch (cause) {
    dispose();
    throw new SynthesisError(`The functions in ${root} can't be bundled: ${reasonOf(cause)}`, { cause });
  }
};

/**
 * Functions that are already bundled: `<directory>/<name>/index.mjs`.
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
