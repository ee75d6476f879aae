import { build } from 'esbuild';
import { childPrograms } from './child-programs.ts';
import { TRIMS, trimSdk } from './trim-sdk.ts';

/**
 * A program that bundles as its argument describes and prints the trimmed SDK files as JSON. It is a separate process
 * because esbuild's plugins are asynchronous and constructs are synchronous.
 */
export interface BundleOrder {
  readonly outdir: string;
  /** Path of the entry's source, and path of its bundle relative to `outdir`, without an extension. */
  readonly entries: readonly { readonly in: string; readonly out: string }[];
}

/** SDK modules for operations that stream events. They are imported lazily, and no function uses them. */
const NEVER_LOADED = ['@smithy/core/event-streams'];

const { outdir, entries } = JSON.parse(process.argv[2] ?? '') as BundleOrder;
const trimmed = new Set<string>();
try {
  await build({
    entryPoints: [...entries],
    outdir,
    outExtension: { '.js': '.mjs' },
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node24',
    minify: true,
    mainFields: ['module', 'main'],
    external: NEVER_LOADED,
    plugins: [childPrograms(), trimSdk(TRIMS, (file) => trimmed.add(file))],
    charset: 'utf8',
    legalComments: 'none',
    logLevel: 'silent',
  });
  process.stdout.write(JSON.stringify([...trimmed].sort()));
} catch (error) {
  process.stderr.write(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
}
