import { STEPS } from '../../core/contract/deployment.ts';
import type { MachineSpec } from './machine.ts';

export const provisionProcess: MachineSpec = {
  name: 'provision-process',
  comment: 'Start a process-isolated container, and create it if needed',
  steps: [STEPS.place, STEPS.start],
  undo: true,
};
