import type { ObservedContainer } from '../../core/contract/agent/commands.ts';
import type { RuntimeType } from '../../core/contract/primitives.ts';
import type { ContainerRecord } from '../../store/records.ts';
import { nextContainer, type Stamp } from './next-records.ts';

/**
 * What a container is and holds now that a conversion, if there was one, has ended with it being of `type`.
 * Reservation is held for what it is, and no longer for what it might have become.
 */
export const settledType = (
  { conversion = null, reservation }: Pick<ContainerRecord, 'conversion' | 'reservation'>,
  from: RuntimeType,
  type: RuntimeType,
): Pick<ContainerRecord, 'conversion' | 'reservation'> & { readonly runtimeType: RuntimeType } => ({
  runtimeType: type,
  conversion: null,
  reservation: conversion === null ? reservation : type === from ? conversion.before : conversion.after,
});

/**
 * What a container that is off is from now on. A host that has it as HyperV has kept it from its kernel, or was on its
 * way to: it does not become Default by a failure.
 */
export const typeWhenOff = (type: RuntimeType, observed: ObservedContainer | null): RuntimeType =>
  observed?.phase === 'Off' && observed.runtimeType === 'HyperV' ? 'HyperV' : type;

/** A container that has ended: off, with nothing held for it. */
export const stoppedContainer = (
  record: ContainerRecord,
  observed: ObservedContainer | null,
  stamp: Stamp,
): ContainerRecord =>
  nextContainer(
    record,
    {
      reservation: null,
      conversion: null,
      stateBefore: null,
      observedSequence: observed?.sequence ?? record.observedSequence ?? null,
      view: {
        state: 'Off',
        runtimeType: typeWhenOff(record.view.runtimeType, observed),
        startedAt: null,
        exitCode: observed?.exitCode ?? null,
        lastError: null,
        activeOperationId: null,
      },
    },
    stamp,
  );

/** A container that runs, as its host sees it; `startedAt` is by the clock of the control plane, because uptime is told by it. */
export const startedContainer = (
  record: ContainerRecord,
  observed: ObservedContainer | null,
  startedAt: string,
  stamp: Stamp,
): ContainerRecord => {
  const from = record.view.runtimeType;
  const { runtimeType, ...held } = settledType(record, from, observed?.runtimeType ?? from);
  return nextContainer(
    record,
    {
      ...held,
      stateBefore: null,
      observedSequence: observed?.sequence ?? record.observedSequence ?? null,
      ranAs: [...new Set([...record.ranAs, runtimeType])],
      view: {
        state: 'Running',
        runtimeType,
        startedAt,
        exitCode: null,
        lastError: null,
        activeOperationId: null,
      },
    },
    stamp,
  );
};
