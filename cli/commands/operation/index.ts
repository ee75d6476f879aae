import type { Command } from 'commander';
import type { Io } from '../../io.ts';
import { addCancel } from './cancel.ts';
import { addGet } from './get.ts';
import { addList } from './list.ts';
import { addWait } from './wait.ts';

export const addOperation = (program: Command, io: Io): void => {
  const group = program.command('operation').alias('op').summary('what was asked for, and how far it is');
  for (const add of [addList, addGet, addWait, addCancel]) add(group, io);
};
