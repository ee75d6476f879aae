import type { RuntimeType } from '../../core/contract/primitives.ts';
import { OPERATION_STARTS } from '../../core/domain/container-state.ts';
import { checkConversion } from '../../core/domain/conversion.ts';
import { ConflictError } from '../../core/domain/errors.ts';
import type { ContainerRecord } from '../../store/containers.ts';
import type { Table } from '../../store/table.ts';
import { inProgress } from '../operation/in-progress.ts';
import { type ConversionInputs, readConversionInputs } from './conversion-case.ts';

const notNow = ({ view: { state } }: ContainerRecord): ConflictError =>
  new ConflictError('invalid-state', `A container that is ${state} cannot be converted.`, {
    suggestion:
      state === 'Unknown'
        ? 'Its host is not connected. Start the agent of the host, then try again.'
        : 'Only a container that is Off or Running can be converted.',
    context: { state },
  });

export type ConversionDecision =
  /** The container already has this type. */
  { readonly kind: 'unchanged' } | { readonly kind: 'begin'; readonly inputs: ConversionInputs };

/**
 * Decides what a request for a runtime type does to the container in its current state.
 *
 * @throws ConflictError `operation-in-progress`, `invalid-state`, and those of the conversion rules in core/domain
 */
export const decideConversion = async (
  table: Table,
  container: ContainerRecord,
  to: RuntimeType,
  acceptUntrustedDisk: boolean,
): Promise<ConversionDecision> => {
  const { runtimeType, state, activeOperationId } = container.view;
  // During a conversion the final type is not decided yet.
  if (runtimeType === to && state !== 'Converting') return { kind: 'unchanged' };
  if (activeOperationId !== null) throw inProgress(activeOperationId);
  if (!OPERATION_STARTS.convert.from.includes(state)) throw notNow(container);
  const inputs = await readConversionInputs(table, container, to, acceptUntrustedDisk);
  if (inputs === undefined) throw notNow(container);
  checkConversion(inputs.rules);
  return { kind: 'begin', inputs };
};
