import { STEPS } from '../../core/contract/deployment.ts';
import type { MachineSpec } from './machine.ts';

export const importImage: MachineSpec = {
  name: 'import-image',
  comment: 'Have a host import an image',
  steps: [STEPS.importImage],
  undo: false,
};
