import { STEPS } from '../../core/contract/deployment.ts';
import type { MachineSpec } from './machine.ts';

export const restore: MachineSpec = {
  name: 'restore',
  comment: 'Roll back a conversion whose workflow ended without a rollback',
  steps: [STEPS.restore],
  undo: false,
};
