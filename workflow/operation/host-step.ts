import { STEPS, type StateMachineName } from '../../core/contract/deployment.ts';
import type { OperationKind } from '../../core/contract/operation.ts';
import type { OperationRecord } from '../../store/operations.ts';

const OF_MACHINE: Readonly<Partial<Record<string, string>>> = {
  prepare: STEPS.prepare,
  'provision-process': STEPS.start,
  'provision-utility-vm': STEPS.provisionUtilityVm,
  'place-utility-vm': STEPS.provisionUtilityVm,
  convert: STEPS.convert,
} satisfies Partial<Record<StateMachineName, string>>;

/** Of the machine `run-command`. A conversion that it runs is a rollback. */
const OF_KIND: Readonly<Partial<Record<OperationKind, string>>> = {
  stop: STEPS.stop,
  kill: STEPS.stop,
  restart: STEPS.restart,
  remove: STEPS.remove,
  convert: STEPS.restore,
  importImage: STEPS.importImage,
};

/** Steps that may leave something half finished on a host. */
const LEAVES_SOMETHING: readonly string[] = [STEPS.prepare, STEPS.start];

/** The machine that ends an operation which failed in this step without an execution. */
export const failureMachine = (step: string): 'undo' | 'settle' =>
  LEAVES_SOMETHING.includes(step) ? 'undo' : 'settle';

/** The step in which the operation's host does its work. Each operation has one. */
export const hostStep = ({
  machine,
  view,
}: Pick<OperationRecord, 'machine'> & { readonly view: Pick<OperationRecord['view'], 'kind'> }):
  | string
  | undefined => OF_MACHINE[machine] ?? OF_KIND[view.kind];
