import { STEPS } from '../../core/contract/deployment.ts';
import type { MachineSpec } from './machine.ts';

export const restore: MachineSpec = {
  name: 'restore',
  comment: 'Bring a container back to what it was before a conversion whose workflow ended without doing so',
  steps: [STEPS.restore],
  undo: false,
};
