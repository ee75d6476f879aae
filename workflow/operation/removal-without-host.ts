import { isEnded } from '../../core/domain/operation-state.ts';
import { createProblem } from '../../core/domain/problems.ts';
import { dropCommand, listCommandsOf } from '../../store/commands.ts';
import { type ContainerRecord, deleteContainer, getContainerNow } from '../../store/containers.ts';
import { checkStillSilent, type HostLinkRecord, isSilent } from '../../store/host-links.ts';
import { getLinkedHost, type LinkedHost } from '../../store/hosts.ts';
import { indexes, parsePartitionKey } from '../../store/keys.ts';
import {
  addOperation,
  getOperationNow,
  type OperationRecord,
  replaceOperation,
} from '../../store/operations.ts';
import { queryAll } from '../../store/query-all.ts';
import { retryOnConflict } from '../../store/retry-on-conflict.ts';
import type { Table, Write } from '../../store/table.ts';
import type { WorkflowDependencies } from '../dependencies.ts';
import { endedOperation } from './next-records.ts';
import { releaseAll } from './release-container.ts';
import { nothingToDo } from './take-container.ts';

/**
 * The removal of a container whose host is silent, with `force`. The container leaves the table at once, with its name
 * and its reservations, and its operations end. If the host returns, it reports a container that the table does not
 * have, and receives the command to remove it (functions/host-message/inventory.ts).
 */
export interface RemovalWithoutHost {
  readonly before: ContainerRecord;
  /** The removal, which has ended. */
  readonly operation: OperationRecord;
  /** The link of the silent host; undefined if there is none. */
  readonly link: HostLinkRecord | undefined;
  /** The write of the stored response, if any. */
  readonly remember: readonly Write[];
}

/** Whether a host takes no part in removals: its lease is over, or an operator has declared it lost. */
export const isGone = ({ host, link }: LinkedHost, now: Date, leaseSeconds: number): boolean =>
  host.view.state === 'Lost' || isSilent(link, now, leaseSeconds);

/** The link of a container's host if that is gone; null if it is not, or if the container has no host. */
export const findSilentLink = async (
  table: Table,
  { tenant, view }: ContainerRecord,
  { now, leaseSeconds }: { readonly now: Date; readonly leaseSeconds: number },
): Promise<{ readonly link: HostLinkRecord | undefined } | null> => {
  if (view.hostId === null) return null;
  const found = await getLinkedHost(table, tenant, view.hostId);
  return found !== undefined && isGone(found, now, leaseSeconds) ? { link: found.link } : null;
};

/** The operations that have the container or wait for it, and have not ended. */
const readOpen = async (
  table: Table,
  { tenant, tombstone, view }: ContainerRecord,
): Promise<readonly OperationRecord[]> => {
  const ids = [view.activeOperationId, tombstone].filter((id) => id !== null);
  const found = await Promise.all(ids.map((id) => getOperationNow(table, tenant, id)));
  return found.filter((one) => one !== undefined && !isEnded(one.view.state)) as OperationRecord[];
};

/** A removal has what it was for; any other operation is cancelled. */
const end = (operation: OperationRecord, at: string): Write => {
  const isRemoval = operation.view.kind === 'remove';
  const error = isRemoval
    ? null
    : createProblem('operation-cancelled', 'The container was removed while its host was not connected.');
  const steps = operation.view.steps.map((step) =>
    step.state === 'Running' ? { ...step, state: 'Failed' as const } : step,
  );
  return replaceOperation(
    operation,
    endedOperation(operation, isRemoval ? 'Succeeded' : 'Cancelled', { error, steps }, at),
  );
};

/**
 * @returns the operations that it ended
 * @throws ConditionFailed if the container, an operation or the host's link has changed since it was read
 */
export const removeWithoutHost = async (
  table: Table,
  { before, operation, link, remember }: RemovalWithoutHost,
): Promise<readonly OperationRecord[]> => {
  const at = operation.view.createdAt;
  const open = await readOpen(table, before);
  // A host that returns would carry out commands that it has not received, although the container is removed.
  const commands = await Promise.all(
    open.map(({ id }) => listCommandsOf(table, before.tenant, before.view.hostId, id)),
  );
  await table.transact(
    [
      ...deleteContainer(before),
      addOperation(operation),
      ...open.map((one) => end(one, at)),
      ...commands.flat().map(dropCommand),
      ...(link === undefined ? [] : [checkStillSilent(link)]),
      ...releaseAll(before),
      ...remember,
    ],
    operation.id,
  );
  return open;
};

/** Containers that are removed concurrently. */
const AT_ONCE = 8;

interface HostRemoval {
  readonly host: { readonly tenant: string; readonly hostId: string };
  readonly link: HostLinkRecord | undefined;
  readonly actor: string;
}

/**
 * Removes all containers of a silent host.
 * @param until when to stop, in milliseconds since 1970
 * @returns whether none is left
 */
export const removeAllWithoutHost = async (
  { table, now, newId }: Pick<WorkflowDependencies, 'table' | 'now' | 'newId'>,
  { host: { tenant, hostId }, link, actor }: HostRemoval,
  until: number,
): Promise<boolean> => {
  const listed = await queryAll(table, { index: 'gsi3', key: indexes.containersByHost(tenant, hostId) });
  const ids = listed.map(({ pk }) => parsePartitionKey(pk?.S ?? '').id).values();
  const removeOne = (id: string): Promise<void> =>
    retryOnConflict(async () => {
      const before = await getContainerNow(table, tenant, id);
      if (before === undefined || before.view.hostId !== hostId) return;
      const request = { operationId: newId(), actor, parameters: { force: true }, now: now() };
      const operation = nothingToDo(before, 'remove', request);
      await removeWithoutHost(table, { before, operation, link, remember: [] });
    });
  const work = async (): Promise<boolean> => {
    for (const id of ids) {
      if (now().getTime() > until) return false;
      await removeOne(id);
    }
    return true;
  };
  return (await Promise.all(Array.from({ length: AT_ONCE }, work))).every((isDone) => isDone);
};
