import type { Command } from 'commander';
import type { Io } from '../../io.ts';
import { addGet } from './get.ts';
import { addList } from './list.ts';
import { addRemove } from './remove.ts';
import { addRuns } from './runs.ts';
import { addSet } from './set.ts';
import { addTest } from './test.ts';

export const addRule = (program: Command, io: Io): void => {
  const group = program.command('rule').summary('manage rules that convert containers on events');
  for (const add of [addSet, addList, addGet, addTest, addRuns, addRemove]) add(group, io);
};
