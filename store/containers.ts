import { isDeepStrictEqual } from 'node:util';
import * as z from 'zod/mini';
import type { ObservedContainer } from '../core/contract/agent/commands.ts';
import type { WorkerProcess } from '../core/contract/compute-process.ts';
import {
  type ContainerSpec,
  type ContainerState,
  ContainerStateSchema,
  type Run,
} from '../core/contract/container.ts';
import {
  DEFAULT_NETWORK_POLICY,
  EgressDefaultSchema,
  PeersSchema,
  type ResolvedNetworkPolicy,
} from '../core/contract/network.ts';
import { type Labels, type RuntimeType, RuntimeTypeSchema } from '../core/contract/primitives.ts';
import type { Problem } from '../core/contract/problem.ts';
import type { Reservation } from '../core/domain/capacity.ts';
import { canTransitionContainer } from '../core/domain/container-state.ts';
import { ConflictError, InvalidTransitionError } from '../core/domain/errors.ts';
import { cutCommand } from '../core/domain/summary.ts';
import { isReservationLost, RESERVE_RETRIES } from './capacity.ts';
import type { Item } from './item.ts';
import { createItem, type Owned, orNull, readItem, StoredProblemSchema, TextsSchema } from './item-format.ts';
import { indexAttributes, indexes, keys } from './keys.ts';
import { addOperation, type OperationRecord } from './operations.ts';
import { pack, packed } from './packed.ts';
import { ifRevision } from './revision.ts';
import { ConditionFailed, keyItem, type Table, type Write } from './table.ts';

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
  /** The host was sent `spec.network` and has not confirmed it yet. */
  readonly networkPending: boolean;
  readonly createdAt: string;
  readonly updatedAt: string;
}

/** What a container's compute process has in addition to the container. */
export interface StoredProcess {
  readonly startedAt: string;
  readonly workerProcess: WorkerProcess | null;
}

export interface Conversion {
  readonly to: RuntimeType;
  /** The reservation if the container is not converted, and once it is converted; null: none. */
  readonly before: Reservation | null;
  readonly after: Reservation | null;
}

/**
 * A container as an index has it: without its environment, and with a long command cut (`core/domain/summary.ts`). The
 * table may have a newer revision.
 */
export interface IndexedContainer {
  readonly tenant: string;
  readonly id: string;
  readonly revision: number;
  readonly view: Omit<ContainerView, 'spec'> & { readonly spec: Omit<ContainerSpec, 'env'> };
}

export interface ContainerRecord extends IndexedContainer {
  readonly view: ContainerView;
  /** Rises with each operation that takes the container. A command or report of an older epoch changes nothing. */
  readonly epoch: number;
  /** The reservation on the host while it runs. The same amount is released. */
  readonly reservation: Reservation | null;
  /** Disk that is reserved on the host for as long as the container is placed there, in MiB. */
  readonly heldDiskMB: number;
  /** Id of the operation of a removal that waits for the active operation to end. */
  readonly tombstone: string | null;
  /** Runtime types that it has run under: HyperV means that untrusted code has written its disk. */
  readonly ranAs: readonly RuntimeType[];
  /** State to return to if the active operation is rolled back. */
  readonly stateBefore: ContainerState | null;
  /** Set while an operation converts the container, and until the result is known. */
  readonly conversion?: Conversion | null;
  /** `sequence` of the newest observation of its host that was applied; older ones change nothing. */
  readonly observedSequence?: number | null;
  /** The report of its end that arrived while an operation was active. The end of the operation applies it. */
  readonly exitReport?: ObservedContainer | null;
  /** The newest run of its main process. */
  readonly lastRun?: Run | null;
  /** Its compute process; null if it has none. */
  readonly process: StoredProcess | null;
  /** Who made the last change: the stream writes it into the event. */
  readonly actor: string;
}

const NetworkRulesSchema = z.array(
  z.object({
    cidr: z.optional(z.string()),
    domain: z.optional(z.string()),
    ports: z.optional(z.array(z.union([z.number(), z.string()]))),
    protocol: z.optional(z.enum(['tcp', 'udp'])),
  }),
);

/** Resources of containers and of command results. */
export const StoredNetworkPolicySchema: z.ZodMiniType<ResolvedNetworkPolicy> = z.object({
  egress: z.object({ default: EgressDefaultSchema, allow: NetworkRulesSchema, deny: NetworkRulesSchema }),
  peers: PeersSchema,
});

const SpecSchema: z.ZodMiniType<ContainerSpec> = z.object({
  image: z.string(),
  switchName: z.string(),
  network: z._default(StoredNetworkPolicySchema, DEFAULT_NETWORK_POLICY),
  networkRevision: z._default(z.number(), 0),
  entrypoint: z.optional(z.array(z.string())),
  command: z.optional(z.array(z.string())),
  env: z.optional(TextsSchema),
  workingDir: z.optional(z.string()),
  user: z.optional(z.string()),
  tty: z.optional(z.boolean()),
  stdin: z.optional(z.boolean()),
  resources: z.object({ memoryMB: z.number(), cpus: z.number(), diskMB: z.number() }),
  ports: z.optional(
    z.array(
      z.object({
        hostPort: z.optional(z.number()),
        containerPort: z.number(),
        protocol: z.optional(z.enum(['tcp', 'udp'])),
        hostAddress: z.optional(z.literal('127.0.0.1')),
      }),
    ),
  ),
  restartPolicy: z.object({
    name: z.enum(['no', 'on-failure', 'always']),
    maxRetries: z.optional(z.number()),
  }),
  placement: z.optional(z.object({ hostId: z.optional(z.string()), hostLabels: z.optional(TextsSchema) })),
  autoRemove: z.optional(z.boolean()),
});

const ViewSchema: z.ZodMiniType<ContainerView> = z.object({
  name: z.string(),
  spec: SpecSchema,
  runtimeType: RuntimeTypeSchema,
  state: ContainerStateSchema,
  hostId: orNull(z.string()),
  labels: TextsSchema,
  exitCode: orNull(z.number()),
  startedAt: orNull(z.string()),
  activeOperationId: orNull(z.string()),
  lastError: orNull(StoredProblemSchema),
  networkPending: z._default(z.boolean(), false),
  createdAt: z.string(),
  updatedAt: z.string(),
});

const INDEXED = { revision: z.number(), view: ViewSchema };
const IndexedSchema = z.object(INDEXED);

/** Worker process of compute processes and of command results. */
export const StoredWorkerProcessSchema: z.ZodMiniType<WorkerProcess> = z.object({
  pid: z.number(),
  name: z.string(),
  userName: z.string(),
});

const RUN_DETAILS = {
  endedAt: orNull(z.string()),
  restarting: z._default(z.boolean(), false),
  outOfMemory: z._default(z.boolean(), false),
  ports: z._default(
    z.array(
      z.object({
        hostPort: z.number(),
        containerPort: z.number(),
        protocol: z.enum(['tcp', 'udp']),
        hostAddress: z.optional(z.literal('127.0.0.1')),
      }),
    ),
    [],
  ),
  address: z.optional(z.string()),
};
const StoredRunSchema: z.ZodMiniType<Run> = z.object({
  startedAt: z.string(),
  restartCount: z._default(z.number(), 0),
  ...RUN_DETAILS,
});

/** A host's observation of a container, in containers and in command results. */
export const StoredObservedSchema: z.ZodMiniType<ObservedContainer> = z.object({
  containerId: z.string(),
  epoch: z.number(),
  phase: z.enum(['Absent', 'Off', 'Running']),
  runtimeType: RuntimeTypeSchema,
  startedAt: orNull(z.string()),
  exitCode: orNull(z.number()),
  exitReason: orNull(z.string()),
  restartCount: z.number(),
  workerProcess: orNull(StoredWorkerProcessSchema),
  sequence: z.optional(z.number()),
  run: z.optional(z.object(RUN_DETAILS)),
});

const StoredProcessSchema: z.ZodMiniType<StoredProcess> = z.object({
  startedAt: z.string(),
  workerProcess: orNull(StoredWorkerProcessSchema),
});

const ReservationSchema = z.object({ memoryMB: z.number(), cpus: z.number() });

/**
 * The members of a container that no index projects, because every change of the container would write them to each
 * index.
 */
const ProgramSchema = z.object({
  entrypoint: z.optional(z.array(z.string())),
  command: z.optional(z.array(z.string())),
  env: z.optional(TextsSchema),
});

const ContainerSchema: z.ZodMiniType<
  Omit<ContainerRecord, keyof Owned> & { readonly program: z.infer<typeof ProgramSchema> | null }
> = z.object({
  ...INDEXED,
  program: orNull(packed(ProgramSchema)),
  epoch: z.number(),
  reservation: orNull(ReservationSchema),
  heldDiskMB: z.number(),
  tombstone: orNull(z.string()),
  ranAs: z.array(RuntimeTypeSchema),
  stateBefore: orNull(ContainerStateSchema),
  conversion: orNull(
    z.object({ to: RuntimeTypeSchema, before: orNull(ReservationSchema), after: orNull(ReservationSchema) }),
  ),
  observedSequence: orNull(z.number()),
  exitReport: z.optional(StoredObservedSchema),
  lastRun: z.optional(StoredRunSchema),
  process: orNull(StoredProcessSchema),
  actor: z.string(),
});

const NameSchema = z.object({ containerId: z.string() });

/** @throws UnreadableItemError */
export const parseContainer = (item: Item): ContainerRecord => {
  const { program, ...record } = readItem('container', ContainerSchema, item);
  return { ...record, view: { ...record.view, spec: { ...record.view.spec, ...program } } };
};

/** A container from an index. @throws UnreadableItemError */
export const parseIndexedContainer = (item: Item): IndexedContainer =>
  readItem('container', IndexedSchema, item);

const WithProcessSchema = z.object({ ...INDEXED, process: orNull(StoredProcessSchema) });

/** A container from the index by name, or from the table, with its compute process. @throws UnreadableItemError */
export const parseWithProcess = (item: Item): IndexedContainer & { readonly process: StoredProcess | null } =>
  readItem('container', WithProcessSchema, item);

/** The default policy is omitted, because every index projects the view. */
const indexedSpec = ({
  network,
  networkRevision,
  entrypoint: _,
  command,
  env: __,
  ...spec
}: ContainerSpec) => ({
  ...spec,
  ...(command && { command: cutCommand(command) }),
  ...(!isDeepStrictEqual(network, DEFAULT_NETWORK_POLICY) && { network }),
  ...(networkRevision !== 0 && { networkRevision }),
});

const programOf = ({ entrypoint, command, env }: ContainerSpec) =>
  entrypoint === undefined && env === undefined && command === cutCommand(command)
    ? null
    : pack({ entrypoint, command, env });

/** Usual values are omitted, because they are written again with each change of the container. */
const compactRun = ({ restartCount, restarting, outOfMemory, ports, ...run }: Run) => ({
  ...run,
  restartCount: restartCount || null,
  restarting: restarting || null,
  outOfMemory: outOfMemory || null,
  ports: ports.length > 0 ? ports : null,
});

/** The whole item of a container, with every index key that follows from the record. */
export const containerItem = (record: ContainerRecord): Item => {
  const { tenant, id, ...rest } = record;
  const { name, hostId, spec } = record.view;
  const view = {
    ...record.view,
    spec: indexedSpec(spec),
    networkPending: record.view.networkPending || null,
  };
  return createItem('container', keys.container(tenant, id), {
    ...rest,
    view,
    lastRun: record.lastRun ? compactRun(record.lastRun) : null,
    program: programOf(spec),
    ...indexAttributes('gsi1', indexes.containersByName(tenant, name)),
    ...(hostId === null ? {} : indexAttributes('gsi3', indexes.containersByHost(tenant, hostId, name))),
    ...indexAttributes('gsi4', indexes.containersByImage(tenant, spec.image, name)),
  });
};

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** Whether a text is an id, in either case. Names cannot have this form. */
export const isId = (text: string): boolean => UUID.test(text);

/**
 * First reads with eventual consistency, at half a read unit. An item that is not found may have been created a moment ago, so a miss is followed by a
 * consistent read: a caller whose request was accepted can read the result immediately.
 */
const getFresh = async (table: Table, key: { pk: string; sk: string }) =>
  (await table.get(key)) ?? (await table.get(key, { consistent: true }));

export const getContainer = async (
  table: Table,
  tenant: string,
  id: string,
): Promise<ContainerRecord | undefined> => {
  const item = await getFresh(table, keys.container(tenant, id));
  return item && parseContainer(item);
};

/** The current state, for a decision. One read unit. */
export const getContainerNow = async (
  table: Table,
  tenant: string,
  id: string,
): Promise<ContainerRecord | undefined> => {
  const item = await table.get(keys.container(tenant, id), { consistent: true });
  return item && parseContainer(item);
};

const holderOf = (item: Item): string => readItem('containerName', NameSchema, item).containerId;

/** Id of the container with the name. */
export const findContainerId = async (
  table: Table,
  tenant: string,
  name: string,
): Promise<string | undefined> => {
  const item = await getFresh(table, keys.containerName(tenant, name));
  return item && holderOf(item);
};

/** Id of a container from its id, in either case, or its name. Undefined for a name that does not exist. */
export const resolveContainerId = async (
  table: Table,
  tenant: string,
  idOrName: string,
): Promise<string | undefined> =>
  isId(idOrName) ? idOrName.toLowerCase() : findContainerId(table, tenant, idOrName);

interface NewContainer {
  readonly container: ContainerRecord;
  readonly operation: OperationRecord;
  /** The write of the stored response, if any. */
  readonly remember: readonly Write[];
  /** Reserves capacity for a container that is placed already. */
  readonly reserve?: Write | undefined;
  /** With the same token, a repeat of the transaction within ten minutes changes nothing. */
  readonly token: string;
}

const NAME_WRITE = 1;
/** Index of the reservation in the transaction, not counting the write of the stored response. */
const RESERVE_WRITE = 3;

/** Why a name is not available. @param holder id of the container that has it */
export const nameTaken = (name: string, holder: string | undefined): ConflictError =>
  new ConflictError(
    'name-taken',
    `The name "${name}" is already used by ${holder === undefined ? 'another container' : `container ${holder}`}.`,
    {
      suggestion: 'Choose another name, or remove the container that has it.',
      context: { name, containerId: holder },
    },
  );

/**
 * Creates container, name, operation and stored response in one transaction.
 * @returns false if the capacity that it reserves is not free, and nothing was created
 * @throws ConflictError `name-taken`
 */
export const createContainer = async (
  table: Table,
  { container, operation, remember, reserve, token }: NewContainer,
): Promise<boolean> => {
  const { tenant, id } = container;
  const { name } = container.view;
  try {
    await table.transact(
      [
        { put: { Item: containerItem(container), ConditionExpression: 'attribute_not_exists(pk)' } },
        {
          put: {
            Item: createItem('containerName', keys.containerName(tenant, name), { containerId: id }),
            ConditionExpression: 'attribute_not_exists(pk)',
          },
        },
        addOperation(operation),
        ...remember,
        ...(reserve === undefined ? [] : [reserve]),
      ],
      token,
      reserve === undefined ? {} : { retries: RESERVE_RETRIES },
    );
    return true;
  } catch (error) {
    if (error instanceof ConditionFailed && error.index === NAME_WRITE)
      throw nameTaken(name, error.item && holderOf(error.item));
    if (reserve !== undefined && isReservationLost(error, RESERVE_WRITE + remember.length)) return false;
    throw error;
  }
};

/**
 * Replaces a container, on the condition that it still has the revision that was read.
 * @throws InvalidTransitionError if the state table has no such transition
 */
export const replaceContainer = (before: ContainerRecord, after: ContainerRecord): Write => {
  const [from, to] = [before.view.state, after.view.state];
  if (!canTransitionContainer(from, to)) throw new InvalidTransitionError(`Container ${before.id}`, from, to);
  return { put: { Item: containerItem(after), ...ifRevision(before.revision) } };
};

export const deleteContainer = (record: ContainerRecord): readonly Write[] => [
  { remove: { Key: keyItem(keys.container(record.tenant, record.id)), ...ifRevision(record.revision) } },
  { remove: { Key: keyItem(keys.containerName(record.tenant, record.view.name)) } },
];
