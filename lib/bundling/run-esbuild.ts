import { build } from 'esbuild';
import { childPrograms } from './child-programs.ts';
import { TRIMS, trimSdk } from './trim-sdk.ts';

/**
 * A program: bundles as its argument says, prints the files of the SDK that it trimmed as JSON. A process of its own,
 * because esbuild's plugins need time that a construct, which can't wait, has not.
 */
export interface BundleOrder {
  readonly outdir: string;
  /** Path of the entry's source, and where its bundle goes below `outdir`, without an extension. */
  readonly entries: readonly { readonly in: string; readonly out: string }[];
}

/** What the SDK imports only when its turn comes, which it never does here: operations that stream events. */
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
