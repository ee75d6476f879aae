import { STEPS } from '../../core/contract/deployment.ts';
import type { MachineSpec } from './machine.ts';

export const provisionUtilityVm: MachineSpec = {
  name: 'provision-utility-vm',
  comment: 'Start a container in its own utility VM, and create it if needed',
  steps: [STEPS.place, STEPS.provisionUtilityVm],
  undo: true,
};
