import type { RuntimeType } from '../../core/contract/primitives.ts';
import { subtract } from '../../core/domain/capacity.ts';
import { conversionReservation, isNoReservation } from '../../core/domain/conversion.ts';
import { releaseCapacity, reserveCapacity } from '../../store/capacity.ts';
import { type ContainerRecord, type Conversion, replaceContainer } from '../../store/containers.ts';
import { parseHost } from '../../store/hosts.ts';
import { keys } from '../../store/keys.ts';
import { type OperationRecord, replaceOperation } from '../../store/operations.ts';
import { ConditionFailed, type Table, type Write } from '../../store/table.ts';
import { nextContainer } from '../operation/next-records.ts';

interface ConversionAttempt {
  readonly container: ContainerRecord;
  readonly to: RuntimeType;
  readonly at: string;
  readonly operation: OperationRecord;
  /** The operation once the capacity is reserved. */
  readonly placed: OperationRecord;
}

type ReserveOutcome = { readonly kind: 'taken' } | { readonly kind: 'no-capacity'; readonly reason: string };

/** A container that is off reserves nothing, before and after the conversion. */
const NO_RESERVATION = { before: null, after: null };

/**
 * Reserves on the container's own host what the conversion needs beyond the current reservation, before anything is
 * stopped. A draining host still converts its containers.
 *
 * @throws ConditionFailed if the container or the operation has changed since it was read
 */
export const reserveForConversion = async (
  table: Table,
  { container, to, at, operation, placed }: ConversionAttempt,
): Promise<ReserveOutcome> => {
  const { tenant, reservation, view } = container;
  const taken = (conversion: Conversion, during: ContainerRecord['reservation']): Write[] => {
    const change = { conversion, reservation: during };
    const next = nextContainer(container, change, { at, actor: operation.actor });
    return [replaceContainer(container, next), replaceOperation(operation, placed)];
  };
  if (reservation === null || view.hostId === null) {
    await table.transact(taken({ to, ...NO_RESERVATION }, reservation));
    return { kind: 'taken' };
  }
  const item = await table.get(keys.host(tenant, view.hostId));
  if (item === undefined)
    return { kind: 'no-capacity', reason: 'waiting for its host, which is not enrolled' };
  const host = parseHost(item);
  const { after, during, extra } = conversionReservation(
    reservation,
    view.spec.resources,
    to,
    host.view.facts,
  );
  const onHost = isNoReservation(extra)
    ? []
    : [reserveCapacity(tenant, view.hostId, extra, { onlyIfReady: false })];
  try {
    await table.transact([...onHost, ...taken({ to, before: reservation, after }, during)]);
    return { kind: 'taken' };
  } catch (error) {
    if (!(error instanceof ConditionFailed) || error.index >= onHost.length) throw error;
    const { free } = host;
    return {
      kind: 'no-capacity',
      reason:
        `waiting for capacity on its own host: ${host.view.name} has ${free.memoryMB} MiB and ${free.cpus} CPUs free, ` +
        `${to} needs ${extra.memoryMB} MiB and ${extra.cpus} CPUs more`,
    };
  }
};

/** The reservation of a container that turns out to run as another type, and the writes that adjust the host's capacity. */
export const reservationForType = async (
  table: Table,
  { tenant, reservation, view }: ContainerRecord,
  type: RuntimeType,
): Promise<{ readonly reservation: ContainerRecord['reservation']; readonly writes: readonly Write[] }> => {
  const { hostId, spec } = view;
  const host =
    view.runtimeType === type || reservation === null || hostId === null
      ? undefined
      : await table.get(keys.host(tenant, hostId));
  if (host === undefined || hostId === null || reservation === null) return { reservation, writes: [] };
  const { after, during, extra } = conversionReservation(
    reservation,
    spec.resources,
    type,
    parseHost(host).view.facts,
  );
  const surplus = subtract(during, after);
  return {
    reservation: after,
    writes: [
      ...(isNoReservation(extra) ? [] : [reserveCapacity(tenant, hostId, extra, { onlyIfReady: false })]),
      ...(isNoReservation(surplus) ? [] : [releaseCapacity(tenant, hostId, surplus)]),
    ],
  };
};
