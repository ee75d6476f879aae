import type { Command } from 'commander';
import type { Io } from '../../io.ts';
import { addCancel } from './cancel.ts';
import { addGet } from './get.ts';
import { addList } from './list.ts';
import { addWait } from './wait.ts';

export const addOperation = (program: Command, io: Io): void => {
  const group = program
    .command('operation')
    .alias('op')
    .summary('manage operations: requests that run in the background');
  for (const add of [addList, addGet, addWait, addCancel]) add(group, io);
};
