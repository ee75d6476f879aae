import type { Signed } from '../core/contract/agent/signed.ts';
import { DEFAULT_NETWORK } from '../core/contract/network.ts';
import { LEGACY_DISK_MB } from '../core/contract/primitives.ts';
import { fromItem, type Item } from './item.ts';
import { parsePartitionKey } from './keys.ts';
import type {
  CommandRecord,
  ComputeProcessRecord,
  ContainerRecord,
  Entity,
  HostLinkRecord,
  HostRecord,
  ImageRecord,
  OperationRecord,
} from './records.ts';

/**
 * Items back into records. The table is written by this package alone, so its shape is trusted; what was
 * left out because it was null comes back as null.
 */
const open = (item: Item): { plain: Record<string, unknown>; tenant: string; id: string } => {
  const plain = fromItem(item);
  return { plain, ...parsePartitionKey(String(plain.pk)) };
};

const CONTAINER_VIEW = {
  hostId: null,
  labels: {},
  exitCode: null,
  startedAt: null,
  activeOperationId: null,
  lastError: null,
  networkPending: false,
};
const NO_RESERVATION = { before: null, after: null };
const CONTAINER = {
  epoch: 0,
  reservation: null,
  heldDiskMB: 0,
  tombstone: null,
  ranAs: [],
  stateBefore: null,
  conversion: null,
  observedSequence: null,
  actor: 'bulkhead',
};

export const parseContainer = (item: Item): ContainerRecord => {
  const { plain, tenant, id } = open(item);
  const { view, pk: _pk, sk: _sk, ...rest } = plain;
  return {
    ...CONTAINER,
    ...withoutIndexKeys(rest),
    ...(rest.conversion === undefined
      ? {}
      : { conversion: { ...NO_RESERVATION, ...(rest.conversion as object) } }),
    tenant,
    id,
    view: { ...CONTAINER_VIEW, ...(view as object), spec: restoreSpec((view as { spec?: object }).spec) },
  } as unknown as ContainerRecord;
};

/** A specification from before disks were counted has the layer that every container had then; likewise its network. */
const restoreSpec = (spec: { readonly resources?: object } = {}): object => ({
  ...DEFAULT_NETWORK,
  ...spec,
  resources: { diskMB: LEGACY_DISK_MB, ...spec.resources },
});

const OPERATION_VIEW = {
  containerId: null,
  imageName: null,
  hostId: null,
  reason: null,
  steps: [],
  error: null,
  endedAt: null,
};
const OPERATION = {
  epoch: 0,
  parameters: {},
  machine: '',
  after: null,
  placeToken: null,
  notify: null,
  actor: 'bulkhead',
};

export const parseOperation = (item: Item): OperationRecord => {
  const { plain, tenant, id } = open(item);
  const { view, pk: _pk, sk: _sk, ...rest } = plain;
  return {
    ...OPERATION,
    ...withoutIndexKeys(rest),
    tenant,
    id,
    view: {
      ...OPERATION_VIEW,
      ...(view as object),
      steps: restoreSteps((view as { steps?: readonly object[] } | undefined)?.steps),
      ...restoreConversion((view as { conversion?: object } | undefined)?.conversion),
    },
  } as unknown as OperationRecord;
};

const restoreConversion = (conversion: object | undefined): object =>
  conversion === undefined ? {} : { conversion: { downtimeMs: null, ...conversion } };

const restoreSteps = (steps: readonly object[] = []): readonly object[] =>
  steps.map((step) => ({ durationMs: null, ...step }));

/** A command's result with the members that the contract has as null. */
const restoreResult = (result: Record<string, unknown>): Record<string, unknown> => ({
  ...result,
  steps: restoreSteps(result.steps as readonly object[] | undefined),
  observed:
    result.observed === undefined
      ? null
      : {
          startedAt: null,
          exitCode: null,
          exitReason: null,
          workerProcess: null,
          ...(result.observed as object),
        },
  ...(result.processes !== undefined && { processes: restoreProcesses(result.processes) }),
  ...(result.isolation !== undefined && {
    isolation: restoreIsolation(result.isolation as Record<string, unknown>),
  }),
});

const restoreProcesses = (processes: unknown): object[] =>
  (processes as readonly object[]).map((one) => ({ startedAt: null, ...one }));

const restoreIsolation = (report: Record<string, unknown>): Record<string, unknown> => ({
  workerProcess: null,
  ...report,
  containerProcesses: restoreProcesses(report.containerProcesses),
  visibleOnHost: restoreProcesses(report.visibleOnHost),
});

/** A host whose agent has never said what disk it has offers none. */
const NO_DISK = { diskMB: 0 };
const restoreFacts = (facts: { readonly capacity?: object } = {}): object => ({
  ...facts,
  capacity: { ...NO_DISK, ...facts.capacity },
});

/** From the table or from an index; an index has no `publicKey`, which reads as ''. */
export const parseHost = (item: Item): HostRecord => {
  const { plain, tenant, id } = open(item);
  const { view, free, pk: _pk, sk: _sk, ...rest } = plain;
  return {
    publicKey: '',
    actor: 'bulkhead',
    ...withoutIndexKeys(rest),
    tenant,
    id,
    free: { ...NO_DISK, ...(free as object) },
    view: { labels: {}, ...(view as object), facts: restoreFacts((view as { facts?: object }).facts) },
  } as unknown as HostRecord;
};

export const parseHostLink = (item: Item): HostLinkRecord => {
  const { plain, tenant, id } = open(item);
  return {
    connectionId: (plain.connectionId as string | undefined) ?? null,
    lastSeenAt: (plain.lastSeenAt as number | undefined) ?? 0,
    connectedAt: (plain.connectedAt as number | undefined) ?? 0,
    silent: plain.silent === true,
    recheck: plain.recheck === true,
    orphans: (plain.orphans as Record<string, number> | undefined) ?? {},
    tenant,
    hostId: id,
  };
};

/** What is left of a command whose payload was overwritten: it can be addressed, and means nothing. */
const UNREADABLE = {
  containerId: null,
  epoch: 0,
  ttlSeconds: 0,
  arguments: { verb: 'listHostProcesses' },
} as const;

/** The command in a payload. Its signature is for the host to verify: here only the key's parts are relied on. */
const commandIn = (payload: string): object => {
  try {
    const { expiresAtMs: _, ...command } = JSON.parse(payload) as {
      expiresAtMs?: unknown;
      arguments?: unknown;
    };
    return typeof command.arguments === 'object' && command.arguments !== null ? command : UNREADABLE;
  } catch {
    return UNREADABLE;
  }
};

/** One that was written without a signature reads as signed by no key, and its host will refuse it. */
export const parseCommand = (item: Item): CommandRecord => {
  const { plain, tenant, id: hostId } = open(item);
  const {
    command: unsigned,
    signed,
    result,
    ...rest
  } = plain as unknown as {
    command?: object;
    signed?: Signed;
    result?: Record<string, unknown>;
  } & Record<string, unknown>;
  const sent = signed ?? { payload: JSON.stringify(unsigned ?? {}), signature: '', keyId: '' };
  return {
    taskToken: null,
    operationId: null,
    step: null,
    ...rest,
    result: result === undefined ? null : restoreResult(result),
    signed: sent,
    command: { containerId: null, ...commandIn(sent.payload), id: item.sk?.S ?? '', hostId },
    tenant,
  } as unknown as CommandRecord;
};

export const parseComputeProcess = (item: Item): ComputeProcessRecord => {
  const { plain, tenant, id } = open(item);
  return {
    tenant,
    containerId: id,
    revision: plain.revision,
    view: { workerProcess: null, ...(plain.view as object) },
  } as unknown as ComputeProcessRecord;
};

export const parseImage = (item: Item): ImageRecord => {
  const { plain, tenant } = open(item);
  return {
    tenant,
    revision: plain.revision,
    view: plain.view,
    actor: plain.actor ?? 'bulkhead',
  } as unknown as ImageRecord;
};

export const entityOf = (item: Item): Entity | undefined => item.entity?.S as Entity | undefined;

const withoutIndexKeys = (plain: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries(plain).filter(
      ([name]) => !/^gsi[1-4](pk|sk)$/.test(name) && name !== 'entity' && name !== 'ttl',
    ),
  );
