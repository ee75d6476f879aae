import { DEFAULT_STOP_SECONDS } from '../../core/contract/container.ts';
import type { RuntimeType } from '../../core/contract/primitives.ts';
import { OPERATION_STARTS } from '../../core/domain/container-state.ts';
import type { ContainerRecord } from '../../store/containers.ts';
import type { OperationRecord } from '../../store/operations.ts';
import { newOperation } from '../operation/new-operation.ts';
import { nextContainer } from '../operation/next-records.ts';

interface ConversionRequest {
  readonly operationId: string;
  readonly actor: string;
  readonly to: RuntimeType;
  readonly now: Date;
  readonly acceptUntrustedDisk?: boolean;
  /** After a failure the container never runs on the host's kernel. Only for a conversion to HyperV. */
  readonly failsClosed?: boolean;
  /** Task token of a workflow that waits until the operation ends. */
  readonly notify?: string;
  /** Further changes in the same write. */
  readonly view?: Partial<ContainerRecord['view']>;
}

/** The container as it is while the conversion runs, and the operation. */
export const beginConversion = (
  before: ContainerRecord,
  { operationId, actor, to, now, notify, view, acceptUntrustedDisk, failsClosed }: ConversionRequest,
): { readonly container: ContainerRecord; readonly operation: OperationRecord } => {
  const { runtimeType: from, state } = before.view;
  const container = nextContainer(
    before,
    {
      epoch: before.epoch + 1,
      stateBefore: state,
      view: { ...view, state: OPERATION_STARTS.convert.during, activeOperationId: operationId },
    },
    { at: now.toISOString(), actor },
  );
  const operation = newOperation(container, {
    id: operationId,
    kind: 'convert',
    actor,
    parameters: {
      runtimeType: to,
      timeoutSeconds: DEFAULT_STOP_SECONDS,
      ...(acceptUntrustedDisk === true && { acceptUntrustedDisk }),
      ...(failsClosed === true && to === 'HyperV' && { failsClosed }),
    },
    now,
  });
  const conversion = { from, to, downtimeMs: null };
  return {
    container,
    operation: {
      ...operation,
      ...(notify !== undefined && { notify }),
      view: { ...operation.view, conversion },
    },
  };
};
