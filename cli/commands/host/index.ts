import type { Command } from 'commander';
import type { Io } from '../../io.ts';
import { addDrain } from './drain.ts';
import { addEnroll } from './enroll.ts';
import { addGet } from './get.ts';
import { addList } from './list.ts';
import { addLost } from './lost.ts';
import { addProcesses } from './processes.ts';
import { addRemove } from './remove.ts';
import { addSet } from './set.ts';

export const addHost = (program: Command, io: Io): void => {
  const group = program.command('host').summary('manage the machines that containers run on');
  for (const add of [addList, addGet, addSet, addDrain, addLost, addRemove, addProcesses, addEnroll])
    add(group, io);
};
