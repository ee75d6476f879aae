import type { Command } from 'commander';
import type { Io } from '../../io.ts';
import { addList } from './list.ts';

export const addEvent = (program: Command, io: Io): void => {
  const group = program.command('event').summary('list and follow events');
  addList(group, io);
};
