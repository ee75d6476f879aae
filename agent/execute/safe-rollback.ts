import type { AssignedContainer } from '../../core/contract/agent/commands.ts';
import type { RuntimeContainer } from '../runtimes/runtime.ts';

export interface Rollback {
  readonly container: AssignedContainer;
  readonly target: 'Absent' | 'Off' | 'Running';
}

/**
 * The allowed target of a container after a failed operation. A failure never moves code that has run in a VM to this
 * machine's kernel: the container stays `HyperV`, and is off unless it should run and runs in its VM.
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
