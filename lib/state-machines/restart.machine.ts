import { STEPS } from '../../core/contract/deployment.ts';
import type { MachineSpec } from './machine.ts';

export const restart: MachineSpec = {
  name: 'restart',
  comment: 'Stop a container and start it again on its host',
  steps: [STEPS.restart],
  undo: false,
};
