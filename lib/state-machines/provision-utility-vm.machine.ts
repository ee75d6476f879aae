import { STEPS } from '../../core/contract/deployment.ts';
import type { MachineSpec } from './machine.ts';

/** For a container that the request has placed. */
export const provisionUtilityVm: MachineSpec = {
  name: 'provision-utility-vm',
  comment: 'Start a container in its own utility VM, and create it if needed',
  steps: [STEPS.provisionUtilityVm],
  undo: true,
};

/** For a container that waits for capacity. */
export const placeUtilityVm: MachineSpec = {
  ...provisionUtilityVm,
  name: 'place-utility-vm',
  comment: 'Place a container, then start it in its own utility VM, and create it if needed',
  steps: [STEPS.place, STEPS.provisionUtilityVm],
};
