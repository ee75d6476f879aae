import type { OperationKind } from '../../core/contract/operation.ts';
import { machineFor } from '../../core/domain/workflows.ts';
import type { ContainerRecord } from '../../store/containers.ts';
import type { OperationParameters, OperationRecord } from '../../store/operations.ts';
import { deadlineFrom } from './next-records.ts';

interface OperationRequest {
  readonly id: string;
  readonly kind: Exclude<OperationKind, 'importImage'>;
  readonly actor: string;
  readonly parameters: OperationParameters;
  readonly now: Date;
}

const PENDING = { state: 'Pending', reason: null, steps: [], error: null, endedAt: null } as const;

const accepted = (now: Date) => ({
  deadline: deadlineFrom(now),
  createdAt: now.toISOString(),
  updatedAt: now.toISOString(),
});

/** A new operation on a container. @param container as it is while the operation runs */
export const newOperation = (
  container: ContainerRecord,
  { id, kind, actor, parameters, now }: OperationRequest,
): OperationRecord => ({
  tenant: container.tenant,
  id,
  revision: 1,
  epoch: container.epoch,
  parameters,
  machine: machineFor({
    kind,
    runtimeType: container.view.runtimeType,
    start: parameters.start ?? false,
    restores: parameters.restores ?? false,
  }),
  after: null,
  placeToken: null,
  actor,
  view: {
    ...PENDING,
    kind,
    containerId: container.id,
    imageName: null,
    hostId: container.view.hostId,
    requestedBy: actor,
    ...accepted(now),
  },
});

interface ImportRequest {
  readonly tenant: string;
  readonly id: string;
  readonly actor: string;
  readonly imageName: string;
  readonly hostId: string;
  readonly parameters: OperationParameters;
  readonly now: Date;
}

/** A new operation that imports an image on a host. */
export const newImport = ({
  tenant,
  id,
  actor,
  imageName,
  hostId,
  parameters,
  now,
}: ImportRequest): OperationRecord => ({
  tenant,
  id,
  revision: 1,
  epoch: 0,
  parameters,
  machine: machineFor({ kind: 'importImage' }),
  after: null,
  placeToken: null,
  actor,
  view: {
    ...PENDING,
    kind: 'importImage',
    containerId: null,
    imageName,
    hostId,
    requestedBy: actor,
    ...accepted(now),
  },
});
