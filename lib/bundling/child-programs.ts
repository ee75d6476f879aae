import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, type Plugin } from 'esbuild';

const SELECTION = fileURLToPath(new URL('../../functions/shared/selection/', import.meta.url));

/**
 * Programs that functions run as child processes: the module that starts one, and the program. A program is put next to
 * the bundle of each function that includes the module, so that `new URL('./name.mjs', import.meta.url)` resolves in the
 * bundle as in the sources.
 */
const PROGRAMS = [
  { runner: join(SELECTION, 'expression-process.ts'), program: join(SELECTION, 'expression-program.mjs') },
] as const;

const bundle = (program: string, outdir: string) =>
  build({
    entryPoints: [program],
    outdir,
    outExtension: { '.js': '.mjs' },
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node24',
    minify: true,
    legalComments: 'none',
    logLevel: 'silent',
  });

export const childPrograms = (): Plugin => ({
  name: 'child-programs',
  setup: ({ initialOptions, onEnd }) => {
    initialOptions.metafile = true;
    onEnd(async ({ metafile }) => {
      for (const [output, { inputs }] of Object.entries(metafile?.outputs ?? {})) {
        const sources = new Set(Object.keys(inputs).map((path) => resolve(path)));
        for (const { runner, program } of PROGRAMS)
          if (sources.has(runner)) await bundle(program, dirname(output));
      }
    });
  },
});
