import { isDeepStrictEqual } from 'node:util';
import type { ContainerSpec } from '../core/contract/container.ts';
import type { ImageFacts } from '../core/contract/image.ts';
import { DEFAULT_NETWORK_POLICY } from '../core/contract/network.ts';
import { memoryClass } from '../core/domain/capacity.ts';
import { isEnded } from '../core/domain/operation-state.ts';
import { type Item, toItem } from './item.ts';
import { hostShard, indexAttributes, indexes, keys } from './keys.ts';
import type {
  ComputeProcessRecord,
  ContainerRecord,
  HostRecord,
  ImageRecord,
  OperationRecord,
} from './records.ts';

/** Records as whole items, with every index key that follows from them: nobody writes an index key by hand. */

/** The default policy is left out: every index carries the view. */
const storedSpec = ({ network, networkRevision, ...spec }: ContainerSpec) => ({
  ...spec,
  ...(!isDeepStrictEqual(network, DEFAULT_NETWORK_POLICY) && { network }),
  ...(networkRevision !== 0 && { networkRevision }),
});

export const containerItem = (record: ContainerRecord): Item => {
  const { tenant, id, ...rest } = record;
  const { name, runtimeType, state, hostId, spec } = record.view;
  const view = { ...record.view, spec: storedSpec(spec), networkPending: record.view.networkPending || null };
  return toItem({
    ...keys.container(tenant, id),
    entity: 'container',
    ...rest,
    view,
    ...indexAttributes('gsi1', indexes.containersByName(tenant, name)),
    ...indexAttributes('gsi2', indexes.containersByType(tenant, runtimeType, state, name)),
    ...(hostId === null ? {} : indexAttributes('gsi3', indexes.containersByHost(tenant, hostId, name))),
    ...indexAttributes('gsi4', indexes.containersByImage(tenant, spec.image, name)),
  });
};

export const operationItem = (record: OperationRecord): Item => {
  const { tenant, id, ...rest } = record;
  const { createdAt, containerId, state } = record.view;
  return toItem({
    ...keys.operation(tenant, id),
    entity: 'operation',
    ...rest,
    ...indexAttributes('gsi1', indexes.operationsByTime(tenant, createdAt, id)),
    ...(containerId === null
      ? {}
      : indexAttributes('gsi3', indexes.operationsByOwner(tenant, containerId, createdAt, id))),
    ...(record.placeToken === null || isEnded(state)
      ? {}
      : indexAttributes('gsi4', indexes.waitingOperations(tenant, createdAt, id))),
  });
};

export const hostItem = (record: HostRecord): Item => {
  const { tenant, id, ...rest } = record;
  const { name, facts, schedulable, state } = record.view;
  return toItem({
    ...keys.host(tenant, id),
    entity: 'host',
    ...rest,
    ...indexAttributes('gsi1', indexes.hostsByName(tenant, name, id)),
    ...(schedulable && state === 'Ready'
      ? indexAttributes(
          'gsi2',
          indexes.readyHosts(tenant, facts.os.family, memoryClass(record.free.memoryMB), id),
        )
      : {}),
    ...indexAttributes('gsi4', indexes.hostsToSweep(hostShard(id), tenant, id)),
  });
};

export const computeProcessItem = (record: ComputeProcessRecord): Item => {
  const { tenant, containerId, ...rest } = record;
  return toItem({
    ...keys.computeProcess(tenant, containerId),
    entity: 'computeProcess',
    ...rest,
    ...indexAttributes('gsi1', indexes.computeProcessesByName(tenant, record.view.name)),
    ...indexAttributes('gsi3', indexes.computeProcessesByHost(tenant, record.view.hostId, record.view.name)),
  });
};

export const imageItem = (record: ImageRecord): Item => {
  const { tenant, ...rest } = record;
  return toItem({
    ...keys.image(tenant, record.view.name),
    entity: 'image',
    ...rest,
    ...indexAttributes('gsi1', indexes.images(tenant, record.view.name)),
  });
};

/** That a host holds an image, and which. `view` is what both directions of the relation show. */
export const imageOnHostItem = (
  tenant: string,
  image: Pick<ImageFacts, 'name' | 'digest'>,
  hostId: string,
): Item =>
  toItem({
    ...keys.imageOnHost(tenant, image.name, hostId),
    entity: 'imageOnHost',
    view: { name: image.name, digest: image.digest, hostId },
    ...indexAttributes('gsi3', indexes.imagesOfHost(tenant, hostId, image.name)),
  });
