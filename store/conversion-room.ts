import type { RuntimeType } from '../core/contract/primitives.ts';
import { subtract } from '../core/domain/capacity.ts';
import { conversionRoom, isNothing } from '../core/domain/conversion.ts';
import { keys } from './keys.ts';
import { parseHost } from './parse.ts';
import type { ContainerRecord, Conversion, OperationRecord } from './records.ts';
import { ConditionFailed, type Table, type Write } from './table.ts';
import { giveRoom, nextContainer, replaceContainer, replaceOperation, takeRoom } from './transition.ts';

export interface ConversionAttempt {
  readonly container: ContainerRecord;
  readonly to: RuntimeType;
  readonly at: string;
  readonly operation: OperationRecord;
  /** The operation as it is once there is room. */
  readonly placed: OperationRecord;
}

export type RoomOutcome = { readonly kind: 'taken' } | { readonly kind: 'no-room'; readonly reason: string };

/** What is off holds nothing, before and after. */
const NO_ROOM = { before: null, after: null };

/**
 * Takes on the container's own host what it will need beside what it holds, before anything is stopped. A host that
 * takes no new containers still converts those that it has.
 *
 * @throws ConditionFailed if container or operation have changed meanwhile
 */
export const takeConversionRoom = async (
  table: Table,
  { container, to, at, operation, placed }: ConversionAttempt,
): Promise<RoomOutcome> => {
  const { tenant, reservation, view } = container;
  const taken = (conversion: Conversion, during: ContainerRecord['reservation']): Write[] => {
    const change = { conversion, reservation: during };
    const next = nextContainer(container, change, { at, actor: operation.actor });
    return [replaceContainer(container, next), replaceOperation(operation, placed)];
  };
  if (reservation === null || view.hostId === null) {
    await table.transact(taken({ to, ...NO_ROOM }, reservation));
    return { kind: 'taken' };
  }
  const item = await table.get(keys.host(tenant, view.hostId));
  if (item === undefined) return { kind: 'no-room', reason: 'waiting for its host, which is not there' };
  const host = parseHost(item);
  const { after, during, extra } = conversionRoom(reservation, view.spec.resources, to, host.view.facts);
  const onHost = isNothing(extra) ? [] : [takeRoom(tenant, view.hostId, extra, { onlyIfReady: false })];
  try {
    await table.transact([...onHost, ...taken({ to, before: reservation, after }, during)]);
    return { kind: 'taken' };
  } catch (error) {
    if (!(error instanceof ConditionFailed) || error.index >= onHost.length) throw error;
    const { free } = host;
    return {
      kind: 'no-room',
      reason:
        `waiting for room on its own host: ${host.view.name} has ${free.memoryMB} MiB and ${free.cpus} CPUs free, ` +
        `${to} takes ${extra.memoryMB} MiB and ${extra.cpus} CPUs more`,
    };
  }
};

/** What is held for a container that runs as another type than was thought, and what has to be taken or given for it. */
export const roomForType = async (
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
  const { after, during, extra } = conversionRoom(
    reservation,
    spec.resources,
    type,
    parseHost(host).view.facts,
  );
  const surplus = subtract(during, after);
  return {
    reservation: after,
    writes: [
      ...(isNothing(extra) ? [] : [takeRoom(tenant, hostId, extra, { onlyIfReady: false })]),
      ...(isNothing(surplus) ? [] : [giveRoom(tenant, hostId, surplus)]),
    ],
  };
};
