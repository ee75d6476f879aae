import { STATE_MACHINES, type StateMachineName } from '../../core/contract/deployment.ts';
import { convert } from './convert.machine.ts';
import type { MachineSpec } from './machine.ts';
import { prepare } from './prepare.machine.ts';
import { provisionProcess } from './provision-process.machine.ts';
import { placeUtilityVm, provisionUtilityVm } from './provision-utility-vm.machine.ts';
import { runCommand } from './run-command.machine.ts';
import { settle } from './settle.machine.ts';
import { undo } from './undo.machine.ts';

const SPECS: Readonly<Record<StateMachineName, MachineSpec>> = {
  prepare,
  'provision-process': provisionProcess,
  'provision-utility-vm': provisionUtilityVm,
  'place-utility-vm': placeUtilityVm,
  convert,
  'run-command': runCommand,
  undo,
  settle,
};

export const MACHINE_SPECS: readonly MachineSpec[] = STATE_MACHINES.map((name) => SPECS[name]);
