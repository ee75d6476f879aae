import type { Command } from 'commander';
import type { Io } from '../../io.ts';
import { addGet } from './get.ts';
import { addImport } from './import.ts';
import { addList } from './list.ts';
import { addRemove } from './remove.ts';

export const addImage = (program: Command, io: Io): void => {
  const group = program.command('image').summary('manage the catalogue of images');
  for (const add of [addList, addGet, addImport, addRemove]) add(group, io);
};
