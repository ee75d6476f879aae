import type { AssignedContainer } from '../../core/contract/agent/commands.ts';
import type { RuntimeContainer } from '../runtimes/runtime.ts';

export interface Rollback {
  readonly container: AssignedContainer;
  readonly target: 'Absent' | 'Off' | 'Running';
}

/**
 * Where an operation that has failed may bring its container. Code that has run in a VM does not get to this machine's
 * kernel by a failure: the container stays `HyperV`, and is off unless it runs in its VM and is to run.
 */
export const safeRollback = (wanted: Rollback, observed: RuntimeContainer | null): Rollback => {
  const { container, target } = wanted;
  const isHeldBack =
    target !== 'Absent' &&
    container.runtimeType === 'Default' &&
    observed?.runtimeType === 'HyperV' &&
    observed.untrustedDisk;
  if (!isHeldBack) return wanted;
  const kept: AssignedContainer = { ...container, runtimeType: 'HyperV' };
  return { container: kept, target: observed.process?.running ? target : 'Off' };
};
