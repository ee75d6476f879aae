import * as z from 'zod/mini';
import {
  type ConversionFigures,
  type OperationKind,
  OperationKindSchema,
  type OperationState,
  OperationStateSchema,
  type OperationStep,
} from '../core/contract/operation.ts';
import { type RuntimeType, RuntimeTypeSchema } from '../core/contract/primitives.ts';
import type { Problem } from '../core/contract/problem.ts';
import { InvalidTransitionError } from '../core/domain/errors.ts';
import { canTransitionOperation, isEnded } from '../core/domain/operation-state.ts';
import type { Cursors } from './cursor.ts';
import { type Item, toAttribute } from './item.ts';
import { createItem, type Owned, orNull, readItem, StoredProblemSchema } from './item-format.ts';
import { indexAttributes, indexes, keys, listShards } from './keys.ts';
import { type ListPage, type ListRequest, readPage } from './list.ts';
import { ifRevision } from './revision.ts';
import { keyItem, type Table, type Write } from './table.ts';

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

/** What the workflow of an operation needs in addition to ids. */
export interface OperationParameters {
  readonly timeoutSeconds?: number;
  readonly force?: boolean;
  /** `create`: whether the container is also started. */
  readonly start?: boolean;
  /** `importImage`. */
  readonly source?: { readonly path: string } | { readonly reference: string };
  readonly digest?: string;
  /** `convert`: the new runtime type. */
  readonly runtimeType?: RuntimeType;
  /** `convert`: it rolls back a conversion whose workflow ended without a rollback. */
  readonly restores?: boolean;
  /** `convert`: the caller accepts that the host's kernel mounts a disk that code in a VM has written. */
  readonly acceptUntrustedDisk?: boolean;
  /** `convert`: if it fails, the container ends off and does not return to the host's kernel. */
  readonly failsClosed?: boolean;
}

/** An operation as an index has it: without its steps. The table may have a newer revision. */
export interface IndexedOperation {
  readonly tenant: string;
  readonly id: string;
  readonly revision: number;
  readonly view: Omit<OperationView, 'steps'>;
}

export interface OperationRecord extends IndexedOperation {
  readonly view: OperationView;
  readonly epoch: number;
  readonly parameters: OperationParameters;
  /** The state machine that runs it; its execution's name is the operation's id. */
  readonly machine: string;
  /** Id of the operation that must end first. While it is set, no execution is started. */
  readonly after: string | null;
  /** Task token of a workflow that waits for the end of this operation. */
  readonly notify?: string | null;
  /** While the operation waits for capacity: the token of its Place step. */
  readonly placeToken: string | null;
  /** Set before Undo gets its command. A late result of the host no longer completes the operation. */
  readonly undoing?: boolean;
  /** Its command was written with it, and no execution runs it (`workflow/operation/direct-operation.ts`). */
  readonly direct?: boolean;
  readonly actor: string;
}

/** Schema members for operations and for the results of commands. */
export const StoredStepSchema: z.ZodMiniType<OperationStep> = z.object({
  name: z.string(),
  state: z.enum(['Running', 'Succeeded', 'Failed']),
  startedAt: z.string(),
  durationMs: orNull(z.number()),
  detail: z.optional(z.string()),
});

const ViewSchema: z.ZodMiniType<IndexedOperation['view']> = z.object({
  kind: OperationKindSchema,
  containerId: orNull(z.string()),
  imageName: orNull(z.string()),
  hostId: orNull(z.string()),
  state: OperationStateSchema,
  reason: orNull(z.string()),
  conversion: z.optional(
    z.object({ from: RuntimeTypeSchema, to: RuntimeTypeSchema, downtimeMs: orNull(z.number()) }),
  ),
  error: orNull(StoredProblemSchema),
  requestedBy: z.string(),
  deadline: z.string(),
  createdAt: z.string(),
  updatedAt: z.string(),
  endedAt: orNull(z.string()),
});

const INDEXED = { revision: z.number(), view: ViewSchema };
const IndexedSchema = z.object(INDEXED);

const flag = z.optional(z.boolean());

/** No index projects the steps, so that the progress of a step costs no index write. */
const OperationSchema: z.ZodMiniType<
  Omit<OperationRecord, keyof Owned | 'view'> &
    Pick<IndexedOperation, 'view'> & { readonly steps: readonly OperationStep[] }
> = z.object({
  ...INDEXED,
  steps: z.array(StoredStepSchema),
  epoch: z.number(),
  parameters: z.object({
    timeoutSeconds: z.optional(z.number()),
    force: flag,
    start: flag,
    source: z.optional(z.union([z.object({ path: z.string() }), z.object({ reference: z.string() })])),
    digest: z.optional(z.string()),
    runtimeType: z.optional(RuntimeTypeSchema),
    restores: flag,
    acceptUntrustedDisk: flag,
    failsClosed: flag,
  }),
  machine: z.string(),
  after: orNull(z.string()),
  notify: orNull(z.string()),
  placeToken: orNull(z.string()),
  undoing: flag,
  direct: flag,
  actor: z.string(),
});

/** @throws UnreadableItemError */
export const parseOperation = (item: Item): OperationRecord => {
  const { steps, ...record } = readItem('operation', OperationSchema, item);
  return { ...record, view: { ...record.view, steps } };
};

/** An operation from an index. @throws UnreadableItemError */
export const parseIndexedOperation = (item: Item): IndexedOperation =>
  readItem('operation', IndexedSchema, item);

/** The complete item of an operation, with all index keys derived from the record. */
export const operationItem = (record: OperationRecord): Item => {
  const { tenant, id, ...rest } = record;
  const { steps, ...view } = record.view;
  const { createdAt, containerId, state } = view;
  return createItem('operation', keys.operation(tenant, id), {
    ...rest,
    view,
    steps,
    ...indexAttributes('gsi1', indexes.operationsByTime(tenant, createdAt, id)),
    ...(containerId === null
      ? {}
      : indexAttributes('gsi3', indexes.operationsByOwner(tenant, containerId, createdAt, id))),
    ...(record.placeToken === null || isEnded(state)
      ? {}
      : indexAttributes('gsi2', indexes.waitingOperations(tenant, createdAt, id))),
  });
};

export const getOperation = async (
  table: Table,
  tenant: string,
  id: string,
): Promise<OperationRecord | undefined> => {
  const key = keys.operation(tenant, id);
  const item = (await table.get(key)) ?? (await table.get(key, { consistent: true }));
  return item && parseOperation(item);
};

/** The current state, for a decision or for a caller that waits. */
export const getOperationNow = async (
  table: Table,
  tenant: string,
  id: string,
): Promise<OperationRecord | undefined> => {
  const item = await table.get(keys.operation(tenant, id), { consistent: true });
  return item && parseOperation(item);
};

interface OperationFilters {
  readonly containerId?: string | undefined;
  readonly state?: OperationState | undefined;
}

/** Operations, newest first: those of one container, or all. */
export const listOperations = (
  table: Table,
  cursors: Cursors,
  tenant: string,
  { containerId, state }: OperationFilters,
  request: ListRequest,
): Promise<ListPage<IndexedOperation>> =>
  readPage(
    table,
    cursors,
    {
      scope: { tenant, list: 'operations', filters: { containerId, state } },
      source: {
        ...(containerId === undefined
          ? { index: 'gsi1', shards: listShards.operationsByTime(tenant) }
          : { index: 'gsi3', shards: [indexes.operationsByOwner(tenant, containerId).pk] }),
        descending: true,
      },
      parse: parseIndexedOperation,
      ...(state && { matches: ({ view }: IndexedOperation) => view.state === state }),
    },
    request,
  );

/**
 * Stores the steps of a running operation. The revision stays, because nothing decides by the steps.
 * @throws ConditionFailed if the operation has changed since it was read
 */
export const storeSteps = async (
  table: Table,
  { tenant, id, revision }: OperationRecord,
  steps: readonly OperationStep[],
): Promise<void> => {
  await table.update({
    Key: keyItem(keys.operation(tenant, id)),
    UpdateExpression: 'SET #steps = :steps',
    ConditionExpression: 'revision = :revision',
    ExpressionAttributeNames: { '#steps': 'steps' },
    ExpressionAttributeValues: { ':steps': toAttribute(steps), ':revision': toAttribute(revision) },
  });
};

export const addOperation = (record: OperationRecord): Write => ({
  put: { Item: operationItem(record), ConditionExpression: 'attribute_not_exists(pk)' },
});

/**
 * Replaces an operation, on the condition that it still has the revision that was read.
 * @throws InvalidTransitionError if the state table has no such transition, for example from a terminal state
 */
export const replaceOperation = (before: OperationRecord, after: OperationRecord): Write => {
  const [from, to] = [before.view.state, after.view.state];
  if (!canTransitionOperation(from, to)) throw new InvalidTransitionError(`Operation ${before.id}`, from, to);
  return { put: { Item: operationItem(after), ...ifRevision(before.revision) } };
};
