import { STEPS } from '../../core/contract/deployment.ts';
import type { MachineSpec } from './machine.ts';

export const stop: MachineSpec = {
  name: 'stop',
  comment: 'Stop a container',
  steps: [STEPS.stop],
  undo: false,
};
