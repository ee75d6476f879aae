import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import * as z from 'zod/mini';

/**
 * Runs JSONata expressions of a tenant in a process of its own, for each selection one:
 *
 * - with a limit on its memory. A worker thread does not do: `$uppercase` of a text that was doubled 24 times ends the
 *   whole process there, whatever the thread's `resourceLimits` say.
 * - with a limit on its time, for what its own guards can't interrupt, such as a regular expression that backtracks.
 * - without the environment, which holds credentials, and without rights on files, processes and threads.
 *
 * It takes about 60 ms.
 */
const PROGRAM = new URL('./expression-program.mjs', import.meta.url);
/** Where the program reads jsonata from when it is not bundled. */
const PACKAGE = new URL('../../../node_modules/jsonata/', import.meta.url);

const LIMITS = { milliseconds: 5_000, heapMB: 48, answerBytes: 256 * 1024 } as const;

const OPTIONS = [
  '--permission',
  `--allow-fs-read=${fileURLToPath(PROGRAM)}`,
  `--allow-fs-read=${fileURLToPath(PACKAGE)}*`,
  `--max-old-space-size=${LIMITS.heapMB}`,
  '--max-semi-space-size=4',
  '--no-warnings',
];

/** Lambda's Node.js finds its libraries by this; nothing else of the environment is passed on. */
const environment = (): NodeJS.ProcessEnv => {
  const { LD_LIBRARY_PATH } = process.env;
  return LD_LIBRARY_PATH === undefined ? {} : { LD_LIBRARY_PATH };
};

/** @returns what the program printed; undefined if it was ended by one of its limits */
const runProgram = (input: object): Promise<unknown> =>
  new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      [...OPTIONS, fileURLToPath(PROGRAM)],
      {
        env: environment(),
        timeout: LIMITS.milliseconds,
        killSignal: 'SIGKILL',
        maxBuffer: LIMITS.answerBytes,
      },
      (error, printed) => resolve(error === null ? JSON.parse(printed) : undefined),
    );
    // A program that has been ended reads nothing more; its end is what counts.
    child.stdin?.on('error', () => {});
    child.stdin?.end(JSON.stringify(input));
  });

const FaultSchema = z.object({ code: z.nullable(z.string()), position: z.nullable(z.int()) });
const ValueSchema = z.union([
  z.object({ text: z.string() }),
  z.object({ none: z.literal(true) }),
  z.object({ fault: FaultSchema }),
]);
export type Value = z.infer<typeof ValueSchema>;

/** What each expression is on the event; undefined if they exhausted the time or the memory that they have. */
export const evaluateExpressions = async (
  expressions: readonly string[],
  event: unknown,
): Promise<readonly Value[] | undefined> => {
  if (expressions.length === 0) return [];
  const answers = await runProgram({ expressions, event });
  return answers === undefined ? undefined : z.parse(z.array(ValueSchema), answers);
};

/** For each text why it is no expression that a rule may have; null if it is one. */
export const checkExpressions = async (
  expressions: readonly string[],
): Promise<readonly (string | null)[]> => {
  if (expressions.length === 0) return [];
  const answers = await runProgram({ check: true, expressions });
  if (answers === undefined) return expressions.map(() => 'it takes too long to parse');
  return z.parse(z.array(z.nullable(z.string())), answers);
};
