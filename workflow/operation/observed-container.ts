import type { ObservedContainer } from '../../core/contract/agent/commands.ts';
import type { RuntimeType } from '../../core/contract/primitives.ts';
import type { Problem } from '../../core/contract/problem.ts';
import type { ContainerRecord } from '../../store/containers.ts';
import type { WorkflowDependencies } from '../dependencies.ts';
import { nextContainer, type Stamp } from './next-records.ts';

/**
 * The type and the reservation of a container once its conversion, if any, has ended with `type`. The reservation no
 * longer includes capacity for the other type.
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
 * The type of a container that is off. If its host reports HyperV, the container stays HyperV: a failure must not turn
 * it into a Default container.
 */
export const typeWhenOff = (type: RuntimeType, observed: ObservedContainer | null): RuntimeType =>
  observed?.phase === 'Off' && observed.runtimeType === 'HyperV' ? 'HyperV' : type;

/** The newest run in a report; what is known if the report has none. */
export const lastRun = (
  { lastRun: known }: Pick<ContainerRecord, 'lastRun'>,
  observed: ObservedContainer | null,
): Pick<ContainerRecord, 'lastRun'> => {
  if (!observed?.run || observed.startedAt === null) return { lastRun: known ?? null };
  const { startedAt, restartCount, run } = observed;
  return { lastRun: { startedAt, restartCount, ...run } };
};

/** A container that has stopped: off, without a reservation. */
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
      exitReport: null,
      ...lastRun(record, observed),
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

/** Why the main process ended by itself, if the host knows and it did not succeed. */
export const exitError = (
  { exitReason, exitCode }: ObservedContainer,
  problem: WorkflowDependencies['problem'],
): Problem | null => (exitReason === null || exitCode === 0 ? null : problem('process-exited', exitReason));

/**
 * The end of the main process that its host reported while the operation was active, after the command's result.
 * @param observed in the command's result
 */
export const laterExit = (
  { exitReport }: ContainerRecord,
  observed: ObservedContainer | null,
): ObservedContainer | null =>
  exitReport && observed !== null && (exitReport.sequence ?? 0) > (observed.sequence ?? 0)
    ? exitReport
    : null;

/** A container that runs, as its host reports it. `startedAt` is in the control plane's time, which uptime is computed from. */
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
      exitReport: null,
      ...lastRun(record, observed),
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
