import { dirname, join } from 'node:path';
import { build, type Plugin } from 'esbuild';

/**
 * Packages that a function imports only when their turn comes (`await import('jsonata')`): bundled into a file of their
 * own beside the function's, so that they are no part of what each cold start reads and parses.
 */
const LAZY = ['jsonata'] as const;

const fileOf = (name: string) => `./${name}.mjs`;

const bundle = (name: string, outfile: string) =>
  build({
    stdin: { contents: `export { default } from ${JSON.stringify(name)};`, resolveDir: import.meta.dirname },
    outfile,
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node24',
    minify: true,
    legalComments: 'none',
    logLevel: 'silent',
  });

export const lazyPackages = (): Plugin => ({
  name: 'lazy-packages',
  setup: ({ initialOptions, onResolve, onEnd }) => {
    initialOptions.metafile = true;
    onResolve({ filter: new RegExp(`^(${LAZY.join('|')})$`) }, ({ path, kind }) =>
      kind === 'dynamic-import' ? { path: fileOf(path), external: true } : null,
    );
    onEnd(async ({ metafile }) => {
      for (const [output, { imports }] of Object.entries(metafile?.outputs ?? {}))
        for (const name of LAZY)
          if (imports.some(({ path }) => path === fileOf(name)))
            await bundle(name, join(dirname(output), fileOf(name)));
    });
  },
});
