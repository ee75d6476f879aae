import type { Command, CommandResult } from '../core/contract/agent/commands.ts';
import type { RefusalReason, Signed } from '../core/contract/agent/signed.ts';
import type { ComputeProcess } from '../core/contract/compute-process.ts';
import type { ContainerSpec, ContainerState } from '../core/contract/container.ts';
import type { Event } from '../core/contract/event.ts';
import type { Capacity, HostFacts, HostState } from '../core/contract/host.ts';
import type { ImageFacts } from '../core/contract/image.ts';
import type {
  ConversionFigures,
  Operation,
  OperationKind,
  OperationState,
  OperationStep,
} from '../core/contract/operation.ts';
import type { Labels, RuntimeType } from '../core/contract/primitives.ts';
import type { Problem } from '../core/contract/problem.ts';
import type { Reservation } from '../core/domain/capacity.ts';

/**
 * What the table holds of each entity. An item is
 * `{pk, sk, entity, revision, view: {…}, …rest, gsiNpk, gsiNsk, ttl?}`: `view` is what lists show and every
 * index carries; what stands beside it is for the control plane and costs no index write when it changes.
 * Absent and null are the same: null is not stored. `tenant` and ids are in the keys, and only there.
 */
export const ENTITIES = [
  'container',
  'containerName',
  'computeProcess',
  'operation',
  'host',
  'hostLink',
  'downtimes',
  'command',
  'image',
  'imageOnHost',
  'enrollmentToken',
  'idempotency',
  'session',
  'event',
  'conversionRule',
  'ruleRun',
  'ruleCooldown',
  'cursorKey',
  'refusedCommand',
  'commandKey',
] as const;
export type Entity = (typeof ENTITIES)[number];

export interface ContainerView {
  readonly name: string;
  readonly spec: ContainerSpec;
  readonly runtimeType: RuntimeType;
  readonly state: ContainerState;
  readonly hostId: string | null;
  readonly labels: Labels;
  readonly exitCode: number | null;
  readonly startedAt: string | null;
  readonly activeOperationId: string | null;
  readonly lastError: Problem | null;
  /** The host has been told of `spec.network`, and has not confirmed it. */
  readonly networkPending: boolean;
  readonly createdAt: string;
  readonly updatedAt: string;
}

export interface Conversion {
  readonly to: RuntimeType;
  /** What is held for it if it stays what it was, and once it is converted; null: nothing. */
  readonly before: Reservation | null;
  readonly after: Reservation | null;
}

export interface ContainerRecord {
  readonly tenant: string;
  readonly id: string;
  readonly revision: number;
  readonly view: ContainerView;
  /** Rises with each operation that takes the container; what carries an older one changes nothing. */
  readonly epoch: number;
  /** What is held on the host for it while it runs, exactly as it was taken: released as the same amount. */
  readonly reservation: Reservation | null;
  /**
   * Disk that is held on the host for it, in MiB, for as long as it is placed there. 0 for a container from before
   * disks were counted: its host's agent takes that off the capacity that it reports.
   */
  readonly heldDiskMB: number;
  /** A removal that waits for the active operation to end: its operation's id. */
  readonly tombstone: string | null;
  /** Runtime types that it has really run under: HyperV means that untrusted code has written its disk. */
  readonly ranAs: readonly RuntimeType[];
  /** State to go back to if the active operation comes to nothing. */
  readonly stateBefore: ContainerState | null;
  /** While an operation converts it, and until it is known what came of that. */
  readonly conversion?: Conversion | null;
  /** `sequence` of the newest observation of its host that was taken into account; older ones change nothing. */
  readonly observedSequence?: number | null;
  /** Who made the last change: the stream writes it into the event. */
  readonly actor: string;
}

export interface OperationView {
  readonly kind: OperationKind;
  readonly containerId: string | null;
  readonly imageName: string | null;
  readonly hostId: string | null;
  readonly state: OperationState;
  readonly reason: string | null;
  readonly steps: readonly OperationStep[];
  readonly conversion?: ConversionFigures | null;
  readonly error: Problem | null;
  readonly requestedBy: string;
  readonly deadline: string;
  readonly createdAt: string;
  readonly updatedAt: string;
  readonly endedAt: string | null;
}

/** What the workflow of an operation needs beside ids. */
export interface OperationParameters {
  readonly timeoutSeconds?: number;
  readonly force?: boolean;
  /** `create`: whether the container is to be started too. */
  readonly start?: boolean;
  /** `importImage`. */
  readonly source?: { readonly path: string } | { readonly reference: string };
  readonly digest?: string;
  /** `convert`: what the container is to become. */
  readonly runtimeType?: RuntimeType;
  /** `convert`: it is the way back of one whose workflow ended without. */
  readonly restores?: boolean;
  /** `convert`: whoever asked for it lets the host's kernel have a disk that code in a VM has written. */
  readonly acceptUntrustedDisk?: boolean;
  /** `convert`: where it fails the container ends off, and does not go back to the host's kernel. */
  readonly failsClosed?: boolean;
}

export interface OperationRecord {
  readonly tenant: string;
  readonly id: string;
  readonly revision: number;
  readonly view: OperationView;
  readonly epoch: number;
  readonly parameters: OperationParameters;
  /** The machine that runs it; its execution's name is the operation's id. */
  readonly machine: string;
  /** Id of the operation that has to end first; while it is set, no execution is started. */
  readonly after: string | null;
  /** Task token of a workflow that waits for its end. */
  readonly notify?: string | null;
  /** While it waits for room: the token of its Place step. */
  readonly placeToken: string | null;
  readonly actor: string;
}

export interface HostView {
  readonly name: string;
  readonly facts: HostFacts;
  readonly labels: Labels;
  readonly schedulable: boolean;
  readonly state: HostState;
  readonly agentVersion: string;
}

export interface HostRecord {
  readonly tenant: string;
  readonly id: string;
  readonly revision: number;
  readonly view: HostView;
  /** Capacity less the sum of all reservations there; conditional writes keep it from going below 0. */
  readonly free: Capacity;
  /** Ed25519 public key, base64url, 32 bytes. */
  readonly publicKey: string;
  readonly actor: string;
}

/** The host's connection and lease: a small item of its own, so that a heartbeat costs one write unit. */
export interface HostLinkRecord {
  readonly tenant: string;
  readonly hostId: string;
  readonly connectionId: string | null;
  /** Milliseconds since 1970 by the control plane's clock. */
  readonly lastSeenAt: number;
  /** Milliseconds since 1970 by the WebSocket API's clock: of two connections the later one is the host's. */
  readonly connectedAt: number;
  /** The sweeper has found the host silent: who hears of it next says that it is back. */
  readonly silent: boolean;
  /** What the host last reported needs a second look: it is asked for its inventory at its next heartbeat. */
  readonly recheck: boolean;
  /** Containers that the host holds and that are not its to hold → milliseconds since 1970 when that was first seen. */
  readonly orphans: Readonly<Record<string, number>>;
}

export interface CommandRecord {
  readonly tenant: string;
  /** Read from what was signed. */
  readonly command: Command;
  /** As the host is sent it, however often. */
  readonly signed: Signed;
  /** `withdrawn`: the operation is being undone; the host is not told it any more. */
  readonly state: 'pending' | 'answered' | 'withdrawn';
  /** Null for a query, whose asker reads the result from here. */
  readonly taskToken: string | null;
  readonly operationId: string | null;
  readonly step: string | null;
  readonly result: CommandResult | null;
  /** Milliseconds since 1970: not sent after. */
  readonly expiresAt: number;
}

/** A command before it is signed and written. */
export type UnsignedCommand = Omit<CommandRecord, 'signed'>;

/** A command that a host has refused as not authentic: kept for the audit. */
export interface RefusedCommandRecord {
  readonly tenant: string;
  readonly hostId: string;
  /** As the refused message claimed. */
  readonly commandId: string;
  readonly reason: RefusalReason;
  readonly at: string;
}

export interface ComputeProcessRecord {
  readonly tenant: string;
  readonly containerId: string;
  readonly revision: number;
  readonly view: Omit<ComputeProcess, 'id' | 'containerId' | 'owner' | 'type'>;
}

export interface ImageRecord {
  readonly tenant: string;
  readonly revision: number;
  readonly view: ImageFacts & { readonly createdAt: string };
  readonly actor: string;
}

export interface IdempotencyRecord {
  readonly tenant: string;
  /** SHA-256 of subject, method, path and `Idempotency-Key`, hexadecimal. */
  readonly hash: string;
  /** SHA-256 of query, preconditions and body, hexadecimal. */
  readonly requestHash: string;
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** The first answer's body, to the byte; stored deflated. */
  readonly body: string;
}

export interface EventRecord {
  readonly tenant: string;
  /** Sort key: time and stream sequence; also the event's id. */
  readonly at: string;
  readonly event: Event;
}

const seconds = (from: string, now: Date): number =>
  Math.max(0, Math.round((now.getTime() - Date.parse(from)) / 1000));

/** A container as the API shows it, at a moment: `uptimeSeconds` is the one member that the clock changes. */
export const toContainer = (record: ContainerRecord, now: Date) => {
  const { spec, ...view } = record.view;
  return {
    id: record.id,
    name: view.name,
    image: spec.image,
    runtimeType: view.runtimeType,
    state: view.state,
    hostId: view.hostId,
    switchName: spec.switchName,
    network: spec.network,
    networkPending: view.networkPending,
    command: spec.command ?? null,
    env: spec.env ?? {},
    workingDir: spec.workingDir ?? null,
    user: spec.user ?? null,
    tty: spec.tty ?? false,
    labels: view.labels,
    resources: spec.resources,
    ports: spec.ports ?? [],
    restartPolicy: spec.restartPolicy,
    autoRemove: spec.autoRemove ?? false,
    exitCode: view.exitCode,
    startedAt: view.startedAt,
    uptimeSeconds: view.state === 'Running' && view.startedAt !== null ? seconds(view.startedAt, now) : 0,
    activeOperationId: view.activeOperationId,
    lastError: view.lastError,
    revision: record.revision,
    createdAt: view.createdAt,
    updatedAt: view.updatedAt,
  };
};

/** An operation as the API shows it. */
export const toOperation = (record: OperationRecord): Operation => {
  const { imageName, conversion, ...view } = record.view;
  return {
    id: record.id,
    ...view,
    ...(imageName === null ? {} : { imageName }),
    ...(conversion ? { conversion } : {}),
    steps: [...view.steps],
  };
};

/** A host as the API shows it; silent for longer than its lease, it reads `Unknown` even before the sweeper has said so. */
export const toHost = (
  record: HostRecord,
  link: HostLinkRecord | undefined,
  now: Date,
  leaseSeconds: number,
) => {
  const { facts, ...view } = record.view;
  // 0: enrolled, and never heard of yet.
  const lastSeenAt = link?.lastSeenAt || null;
  const silent = lastSeenAt === null || now.getTime() - lastSeenAt > leaseSeconds * 1000;
  return {
    id: record.id,
    name: view.name,
    ...facts,
    allocated: {
      memoryMB: facts.capacity.memoryMB - record.free.memoryMB,
      cpus: Math.round((facts.capacity.cpus - record.free.cpus) * 1000) / 1000,
      diskMB: facts.capacity.diskMB - record.free.diskMB,
    },
    schedulable: view.schedulable,
    state: silent && view.state !== 'Lost' ? ('Unknown' as const) : view.state,
    lastSeenAt: lastSeenAt === null ? null : new Date(lastSeenAt).toISOString(),
    agentVersion: view.agentVersion,
    labels: view.labels,
    revision: record.revision,
  };
};

/** A compute process as the API shows it (Get-ComputeProcess: upper-case id, owner VMMS, type Container). */
export const toComputeProcess = (record: ComputeProcessRecord): ComputeProcess => ({
  id: record.containerId.toUpperCase(),
  containerId: record.containerId,
  name: record.view.name,
  owner: 'VMMS',
  type: 'Container',
  runtimeType: record.view.runtimeType,
  state: record.view.state,
  hostId: record.view.hostId,
  startedAt: record.view.startedAt,
  workerProcess: record.view.workerProcess,
});
