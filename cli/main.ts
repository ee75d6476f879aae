import { type Command, CommanderError } from 'commander';
import { ExitError } from './errors.ts';
import { EXIT, exitCodeOf } from './exit-codes.ts';
import { type Io, widthOf } from './io.ts';
import { paintFor } from './output/colours.ts';
import { errorAsJson, renderError } from './output/problems.ts';
import { createProgram } from './program.ts';

const wantsJson = (argv: readonly string[]): boolean =>
  argv.some(
    (word, at) =>
      /^(--output|-o)=?json$/.test(word) || (/^(--output|-o)$/.test(word) && argv[at + 1] === 'json'),
  );

/**
 * Runs one command line.
 * @param argv without program and script
 * @returns the exit code: see {@link EXIT}
 */
export const main = async (argv: readonly string[], io: Io): Promise<number> => {
  let command: Command | undefined;
  const program = createProgram(io).hook('preAction', (_, invoked) => {
    command = invoked;
  });
  try {
    await program.parseAsync([...argv], { from: 'user' });
    return EXIT.success;
  } catch (error) {
    // Commander has already printed: help and version to stdout, an error to stderr.
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.success : EXIT.usage;
    if (error instanceof ExitError) return error.exitCode;
    const isDebug = io.env.BULKHEAD_DEBUG === '1';
    io.stderr.write(
      wantsJson(argv)
        ? errorAsJson(error, command)
        : renderError(error, {
            paint: paintFor(io.stderr, io),
            width: widthOf(io.stderr),
            command,
            isDebug,
          }),
    );
    return exitCodeOf(error);
  }
};
