import { TIMES } from '../../core/contract/deployment.ts';
import type { OperationState } from '../../core/contract/operation.ts';
import type { ContainerRecord, ContainerView } from '../../store/containers.ts';
import type { OperationRecord, OperationView } from '../../store/operations.ts';

/**
 * The next record from the one that was read. store/containers.ts and store/operations.ts have the conditional writes that replace it.
 */
export interface Stamp {
  readonly at: string;
  /** Who makes the change: a user, a host or `bulkhead`. */
  readonly actor: string;
}

type ContainerChange = Partial<Omit<ContainerRecord, 'view' | 'tenant' | 'id' | 'revision' | 'actor'>> & {
  readonly view?: Partial<ContainerView>;
};

export const nextContainer = (
  record: ContainerRecord,
  change: ContainerChange,
  { at, actor }: Stamp,
): ContainerRecord => ({
  ...record,
  ...change,
  revision: record.revision + 1,
  actor,
  view: { ...record.view, ...change.view, updatedAt: at },
});

type OperationChange = Partial<Omit<OperationRecord, 'view' | 'tenant' | 'id' | 'revision'>> & {
  readonly view?: Partial<OperationView>;
};

export const nextOperation = (
  record: OperationRecord,
  change: OperationChange,
  at: string,
): OperationRecord => ({
  ...record,
  ...change,
  revision: record.revision + 1,
  view: { ...record.view, ...change.view, updatedAt: at },
});

/** An operation in a terminal state, which waits for nothing. */
export const endedOperation = (
  record: OperationRecord,
  state: Extract<OperationState, 'Succeeded' | 'Failed' | 'Cancelled'>,
  given: Pick<OperationView, 'error' | 'steps' | 'conversion'>,
  at: string,
): OperationRecord =>
  nextOperation(
    record,
    { placeToken: null, after: null, view: { state, ...given, reason: null, endedAt: at } },
    at,
  );

export const deadlineFrom = (now: Date): string =>
  new Date(now.getTime() + TIMES.operationDeadlineSeconds * 1000).toISOString();
