import type { Capacity } from '../../core/contract/host.ts';
import { reservationOn } from '../../core/domain/placement.ts';
import type { ContainerRecord } from '../../store/containers.ts';
import type { OperationRecord } from '../../store/operations.ts';
import { findHosts } from './find-hosts.ts';
import { type PlacementDependencies, readNeed } from './place-container.ts';

/** Where a container would be placed now. Nothing is reserved. */
export interface PlacementPreview {
  readonly fits: boolean;
  /** The first host that placement would try. */
  readonly hostId: string | null;
  readonly reason: string;
  /** The reservation that it would get there. */
  readonly reservation: Capacity | null;
}

/** @param operation the operation that would be accepted, with the container as it would be while it runs */
export const previewPlacement = async (
  dependencies: PlacementDependencies,
  { operation, container }: { readonly operation: OperationRecord; readonly container: ContainerRecord },
): Promise<PlacementPreview> => {
  const need = await readNeed(dependencies.table, { operation, container });
  const nowhere = { fits: false, hostId: null, reservation: null };
  if (need === undefined)
    return { ...nowhere, reason: `image ${container.view.spec.image} is not in the catalogue` };
  const fit = await findHosts(dependencies, { container, need });
  const host = fit.kind === 'fit' ? fit.hosts[0] : undefined;
  if (host === undefined) return { ...nowhere, reason: fit.kind === 'fit' ? 'no host fits' : fit.reason };
  return {
    fits: true,
    hostId: host.id,
    reason: `host ${host.name} fits`,
    reservation: reservationOn(host, need),
  };
};
