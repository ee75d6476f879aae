import type { Command } from 'commander';
import type { Io } from '../../io.ts';
import { addGet } from './get.ts';
import { addList } from './list.ts';
import { addStop } from './stop.ts';

export const addComputeProcess = (program: Command, io: Io): void => {
  const group = program
    .command('compute-process')
    .alias('cp')
    .summary('manage running containers as compute processes');
  for (const add of [addList, addGet, addStop]) add(group, io);
};
