import type { RuntimeType } from '../../core/contract/primitives.ts';
import { OPERATION_STARTS } from '../../core/domain/container-state.ts';
import { checkConversion } from '../../core/domain/conversion.ts';
import { ConflictError } from '../../core/domain/errors.ts';
import type { ContainerRecord } from '../../store/records.ts';
import type { Table } from '../../store/table.ts';
import { inProgress } from '../operation/in-progress.ts';
import { type ConversionInputs, readConversionInputs } from './conversion-case.ts';

const notNow = ({ view: { state } }: ContainerRecord): ConflictError =>
  new ConflictError('invalid-state', `A container that is ${state} cannot be converted.`, {
    suggestion:
      state === 'Unknown'
        ? 'Its host is silent: bring the host back first.'
        : 'Only a container that is Off or Running can be converted.',
    context: { state },
  });

export type ConversionDecision =
  /** It is so already. */
  { readonly kind: 'unchanged' } | { readonly kind: 'begin'; readonly ground: ConversionInputs };

/**
 * What the wish for a runtime type comes to, on the container as it is now.
 *
 * @throws ConflictError `operation-in-progress`, `invalid-state`, and those of the rules of conversion
 */
export const decideConversion = async (
  table: Table,
  container: ContainerRecord,
  to: RuntimeType,
  acceptUntrustedDisk: boolean,
): Promise<ConversionDecision> => {
  const { runtimeType, state, activeOperationId } = container.view;
  // While it is being converted, what it will be is not decided yet.
  if (runtimeType === to && state !== 'Converting') return { kind: 'unchanged' };
  if (activeOperationId !== null) throw inProgress(activeOperationId);
  if (!OPERATION_STARTS.convert.from.includes(state)) throw notNow(container);
  const ground = await readConversionInputs(table, container, to, acceptUntrustedDisk);
  if (ground === undefined) throw notNow(container);
  checkConversion(ground.rules);
  return { kind: 'begin', ground };
};
