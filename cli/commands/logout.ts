import type { Command } from 'commander';
import { withContext } from '../context.ts';
import type { Io } from '../io.ts';
import { removeStored, storedPath } from '../settings/stored-settings.ts';
import { examples } from './options.ts';

export const addLogout = (program: Command, io: Io): void => {
  const command = program.command('logout').summary('delete the stored URL and token');
  examples(command, 'bulkhead logout').action(
    withContext<[], object>(io, async (context) => {
      const removed = removeStored(io);
      if (context.isJson) context.showJson({ removed });
      else context.showNote(removed ? `Removed ${storedPath(io)}.` : 'No settings were stored.');
    }),
  );
};
