import { STEPS } from '../../core/contract/deployment.ts';
import type { MachineSpec } from './machine.ts';

export const provisionUtilityVm: MachineSpec = {
  name: 'provision-utility-vm',
  comment: 'Create if need be, and start, a container in a utility VM of its own',
  steps: [STEPS.place, STEPS.provisionUtilityVm, STEPS.start],
  undo: true,
};
