#!/usr/bin/env node
/**
 * The entry of every developer command: `node scripts/bootstrap.mjs <command> [arguments]`.
 *
 * Sets up the checkout (packages, system programs, Node 24), then runs the command under Node 24 and exits with its
 * code. It is plain JavaScript without dependencies, because it must run on Node 20 before anything is installed.
 * It writes only to stderr, because stdout is for the output of the command. If the set-up is complete, it writes nothing.
 */
import { COMMANDS, commandList } from './bootstrap/commands.mjs';
import { createEffects } from './bootstrap/effects.mjs';
import { runForeground } from './bootstrap/foreground.mjs';
import { SetupError, setUp } from './bootstrap/set-up.mjs';

const report = (error) => {
  if (!(error instanceof SetupError) || process.env.BULKHEAD_DEBUG === '1') console.error(error);
  else console.error(`\n${error.message}`);
};

const main = async () => {
  const [name, ...rest] = process.argv.slice(2);
  const command = name === undefined ? undefined : COMMANDS[name];
  if (command === undefined) {
    console.error(
      `${name === undefined ? 'No command given' : `There is no command "${name}"`}. Commands:\n${commandList()}`,
    );
    return 2;
  }
  const root = new URL('..', import.meta.url).pathname;
  const node = await setUp(createEffects(root), command);
  return await runForeground({ node, root, args: [...command.args, ...rest], env: command.env ?? {} });
};

try {
  process.exitCode = await main();
} catch (error) {
  report(error);
  process.exitCode = 1;
}
