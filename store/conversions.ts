import type { ConversionPreview } from '../core/contract/container.ts';
import type { RuntimeType } from '../core/contract/primitives.ts';
import { roomFits } from '../core/domain/capacity.ts';
import { OPERATION_STARTS } from '../core/domain/container-state.ts';
import {
  type ConversionCase,
  conversionRoom,
  expectedDowntime,
  REMEMBERED_DOWNTIMES,
} from '../core/domain/conversion.ts';
import { fromItem, toItem } from './item.ts';
import { keys } from './keys.ts';
import { newOperation } from './operations.ts';
import { parseHost, parseImage } from './parse.ts';
import type { ContainerRecord, HostRecord, OperationRecord } from './records.ts';
import type { Table } from './table.ts';
import { nextContainer } from './transition.ts';

/** Between asking the main process to end and forcing it, in seconds. As the docker CLI's. */
const STOP_SECONDS = 10;

export interface ConversionGround {
  readonly host: HostRecord;
  readonly rules: ConversionCase;
}

/** What the rules of conversion ask about. @returns undefined for a container without a host */
export const readGround = async (
  table: Table,
  container: ContainerRecord,
  to: RuntimeType,
  acceptUntrustedDisk: boolean,
): Promise<ConversionGround | undefined> => {
  const { tenant, view, ranAs } = container;
  if (view.hostId === null) return undefined;
  const [hostItem, image] = await Promise.all([
    table.get(keys.host(tenant, view.hostId)),
    table.get(keys.image(tenant, view.spec.image)),
  ]);
  if (hostItem === undefined) return undefined;
  const host = parseHost(hostItem);
  const { name, state, facts } = host.view;
  const rules: ConversionCase = {
    from: view.runtimeType,
    to,
    ranAs,
    acceptUntrustedDisk,
    host: { name, state, facts },
    image: image && parseImage(image).view,
  };
  return { host, rules };
};

export interface ConversionRequest {
  readonly operationId: string;
  readonly actor: string;
  readonly to: RuntimeType;
  readonly now: Date;
  readonly acceptUntrustedDisk?: boolean;
  /** No failure leads back to the host's kernel. Only for a conversion to HyperV. */
  readonly failsClosed?: boolean;
  /** Of a workflow that waits for the end of the operation: its task token. */
  readonly notify?: string;
  /** What else changes with it. */
  readonly view?: Partial<ContainerRecord['view']>;
}

/** The container as the conversion has it, and the operation. */
export const takeForConversion = (
  before: ContainerRecord,
  { operationId, actor, to, now, notify, view, acceptUntrustedDisk, failsClosed }: ConversionRequest,
): { readonly container: ContainerRecord; readonly operation: OperationRecord } => {
  const { runtimeType: from, state } = before.view;
  const container = nextContainer(
    before,
    {
      epoch: before.epoch + 1,
      stateBefore: state,
      view: { ...view, state: OPERATION_STARTS.convert.during, activeOperationId: operationId },
    },
    { at: now.toISOString(), actor },
  );
  const operation = newOperation(container, {
    id: operationId,
    kind: 'convert',
    actor,
    parameters: {
      runtimeType: to,
      timeoutSeconds: STOP_SECONDS,
      ...(acceptUntrustedDisk === true && { acceptUntrustedDisk }),
      ...(failsClosed === true && to === 'HyperV' && { failsClosed }),
    },
    now,
  });
  const conversion = { from, to, downtimeMs: null };
  return {
    container,
    operation: {
      ...operation,
      ...(notify !== undefined && { notify }),
      view: { ...operation.view, conversion },
    },
  };
};

const readDowntimes = async (
  table: Table,
  tenant: string,
  hostId: string,
  to: RuntimeType,
): Promise<readonly number[]> => {
  const item = await table.get(keys.downtimes(tenant, hostId, to));
  return item === undefined ? [] : ((fromItem(item).milliseconds as number[] | undefined) ?? []);
};

/**
 * Remembers what a conversion took. Not exact on purpose: of two at once one may be lost, and that is cheaper than
 * keeping both.
 */
export const rememberDowntime = async (table: Table, { tenant, view }: OperationRecord): Promise<void> => {
  const { hostId, conversion } = view;
  if (hostId === null || !conversion || conversion.downtimeMs === null) return;
  const known = await readDowntimes(table, tenant, hostId, conversion.to);
  const milliseconds = [conversion.downtimeMs, ...known].slice(0, REMEMBERED_DOWNTIMES);
  await table.put({
    Item: toItem({ ...keys.downtimes(tenant, hostId, conversion.to), entity: 'downtimes', milliseconds }),
  });
};

/** What a conversion would come to. */
export const previewConversion = async (
  table: Table,
  container: ContainerRecord,
  { host, rules }: ConversionGround,
): Promise<ConversionPreview> => {
  const { reservation, view, tenant } = container;
  const { os } = host.view.facts;
  const restarts = view.state === 'Running';
  const room = reservation && conversionRoom(reservation, view.spec.resources, rules.to, host.view.facts);
  const recent = restarts ? await readDowntimes(table, tenant, host.id, rules.to) : [];
  const medianMs = expectedDowntime(recent);
  return {
    from: rules.from,
    to: rules.to,
    hostId: host.id,
    hostOs: `${os.family} ${os.sku} ${os.version}`,
    restarts,
    reservation: { now: reservation, during: room?.during ?? null, after: room?.after ?? null },
    fits: room === null || roomFits(room.extra, host.free),
    expectedDowntime: medianMs === null ? null : { medianMs, conversions: recent.length },
    // What has run as HyperV has an untrusted disk from then on.
    wayBack: {
      onFailure: rules.to === 'HyperV' && restarts ? 'asItWasOrInVm' : 'asItWas',
      later: rules.to === 'HyperV' && restarts ? 'acceptUntrustedDisk' : 'convert',
    },
  };
};
