import { STATE_MACHINES, type StateMachineName } from '../../core/contract/deployment.ts';
import { convert } from './convert.machine.ts';
import { importImage } from './import-image.machine.ts';
import type { MachineSpec } from './machine.ts';
import { prepare } from './prepare.machine.ts';
import { provisionProcess } from './provision-process.machine.ts';
import { provisionUtilityVm } from './provision-utility-vm.machine.ts';
import { remove } from './remove.machine.ts';
import { restart } from './restart.machine.ts';
import { restore } from './restore.machine.ts';
import { stop } from './stop.machine.ts';

const SPECS: Readonly<Record<StateMachineName, MachineSpec>> = {
  prepare,
  'provision-process': provisionProcess,
  'provision-utility-vm': provisionUtilityVm,
  stop,
  restart,
  remove,
  convert,
  restore,
  'import-image': importImage,
};

export const MACHINE_SPECS: readonly MachineSpec[] = STATE_MACHINES.map((name) => SPECS[name]);
