import type { StateMachineName } from '../contract/deployment.ts';
import type { OperationKind } from '../contract/operation.ts';
import type { RuntimeType } from '../contract/primitives.ts';

/** The facts that decide which state machine runs an operation. */
interface WorkflowChoice {
  readonly kind: OperationKind;
  /** The container's type; undefined for an operation on an image. */
  readonly runtimeType?: RuntimeType;
  /** `create`: whether it also starts the container. */
  readonly start?: boolean;
  /** `convert`: whether it rolls back an earlier conversion whose workflow ended without a rollback. */
  readonly restores?: boolean;
}

const provision = (runtimeType: RuntimeType | undefined): StateMachineName =>
  runtimeType === 'HyperV' ? 'place-utility-vm' : 'provision-process';

/** The state machine that runs an operation whose container has no host yet, or keeps its host. */
export const machineFor = ({ kind, runtimeType, start, restores }: WorkflowChoice): StateMachineName => {
  switch (kind) {
    case 'create':
      return start === true ? provision(runtimeType) : 'prepare';
    case 'start':
      return provision(runtimeType);
    case 'convert':
      return restores === true ? 'run-command' : 'convert';
    case 'stop':
    case 'kill':
    case 'restart':
    case 'remove':
    case 'importImage':
      return 'run-command';
  }
};
