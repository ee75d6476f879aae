import type { Command } from 'commander';
import type { Io } from '../../io.ts';
import { addCreate } from './create.ts';
import { addEnter } from './enter.ts';
import { addExec } from './exec.ts';
import { addGet } from './get.ts';
import { addIsolation } from './isolation.ts';
import { addKill } from './kill.ts';
import { addList } from './list.ts';
import { addLogs } from './logs.ts';
import { addProcesses } from './processes.ts';
import { addRemove } from './remove.ts';
import { addSet } from './set.ts';
import { addStart } from './start.ts';
import { addRestart, addStop } from './stop.ts';

const VERBS = [
  addCreate,
  addList,
  addGet,
  addSet,
  addStart,
  addStop,
  addRestart,
  addKill,
  addRemove,
  addProcesses,
  addIsolation,
  addLogs,
  addExec,
  addEnter,
];

export const addContainer = (program: Command, io: Io): void => {
  const group = program.command('container').alias('c').summary('manage containers of both runtime types');
  for (const add of VERBS) add(group, io);
};
