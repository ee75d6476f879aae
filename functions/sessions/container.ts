import type { ContainerState } from '../../core/contract/container.ts';
import { ConflictError } from '../../core/domain/errors.ts';
import { type ContainerRecord, getContainerNow, resolveContainerId } from '../../store/containers.ts';
import type { Table } from '../../store/table.ts';
import { notFound } from '../shared/http/validate.ts';

/** @throws NotFoundError with the same text for a missing container and one of another tenant */
export const findContainer = async (
  table: Table,
  tenant: string,
  idOrName: string,
): Promise<ContainerRecord> => {
  const id = await resolveContainerId(table, tenant, idOrName);
  const container = id && (await getContainerNow(table, tenant, id));
  if (!container) throw notFound();
  return container;
};

/** @throws ConflictError `invalid-state` */
export const requireRunning = ({ view: { state, hostId } }: ContainerRecord): string => {
  if (state === 'Running' && hostId !== null) return hostId;
  throw new ConflictError(
    'invalid-state',
    `The container is ${state}. Commands require a running container.`,
    {
      suggestion: 'Start the container first.',
      context: { state },
    },
  );
};

const STARTABLE: readonly ContainerState[] = ['Off', 'Failed', 'Starting', 'Running'];

/** @returns the host of a container that runs or can be started there. @throws ConflictError `invalid-state` */
export const requireStartable = ({ view: { state, hostId } }: ContainerRecord): string => {
  if (hostId !== null && STARTABLE.includes(state)) return hostId;
  throw new ConflictError(
    'invalid-state',
    hostId === null
      ? 'The container has no host yet, so its start cannot be awaited.'
      : `The container is ${state}, so its start cannot be awaited.`,
    { suggestion: 'Start the container, then attach to it.', context: { state } },
  );
};
