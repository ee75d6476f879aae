import { STEPS } from '../../core/contract/deployment.ts';
import type { MachineSpec } from './machine.ts';

/** Quiesce, switch and verify are the host's steps within the one command: see docs/adr/0016. */
export const convert: MachineSpec = {
  name: 'convert',
  comment: 'Change the runtime type of a container on its host',
  steps: [STEPS.place, STEPS.convert],
  undo: true,
};
