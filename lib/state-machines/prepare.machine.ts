import { STEPS } from '../../core/contract/deployment.ts';
import type { MachineSpec } from './machine.ts';

export const prepare: MachineSpec = {
  name: 'prepare',
  comment: 'Create a container: place it on a host, which prepares the writable layer',
  steps: [STEPS.place, STEPS.prepare],
  undo: true,
};
