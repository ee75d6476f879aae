import type { ObservedContainer } from '../core/contract/agent/commands.ts';
import type { WorkflowInput } from '../core/contract/deployment.ts';
import type { ImageFacts } from '../core/contract/image.ts';
import type { OperationKind } from '../core/contract/operation.ts';
import { NO_ROOM } from '../core/domain/capacity.ts';
import { caseInsensitiveKey } from '../core/domain/names.ts';
import { isEnded } from '../core/domain/operation-state.ts';
import { deleteCommands } from './commands.ts';
import { toAttribute } from './item.ts';
import { keys } from './keys.ts';
import { parseImage, parseOperation } from './parse.ts';
import { imageItem, imageOnHostItem } from './put.ts';
import type { CommandRecord, ContainerRecord, ImageRecord, OperationRecord } from './records.ts';
import { keyItem, type Table, type Write } from './table.ts';
import {
  decideAgain,
  deleteComputeProcess,
  deleteContainer,
  endedOperation,
  giveRoom,
  replaceOperation,
  type Stamp,
} from './transition.ts';
import {
  finalSteps,
  type InWorkflow,
  isCurrent,
  lastObserved,
  letGoOf,
  readCommands,
  readWorkflow,
  turnedOff,
  turnedOn,
  typeWhenOff,
  type WorkflowDependencies,
} from './workflow.ts';

export type CommitOutcome =
  | { readonly kind: 'committed' | 'already-ended'; readonly operation: OperationRecord }
  /** There is no such operation, or it no longer has the container. */
  | { readonly kind: 'superseded' };

/** Kinds after which the main process runs, if the host doesn't say otherwise. */
const RUNS_AFTER: readonly OperationKind[] = ['start', 'restart'];

/** A container that was converted; the record's own word counts for what is off. */
const converted = (
  operation: OperationRecord,
  container: ContainerRecord,
  observed: ObservedContainer | null,
  stamp: Stamp,
): ContainerRecord => {
  const to = operation.parameters.runtimeType ?? container.view.runtimeType;
  if (observed?.phase === 'Running') return turnedOn(container, observed, stamp.at, stamp);
  const off = turnedOff(container, observed, stamp);
  const exitCode = observed?.exitCode ?? container.view.exitCode;
  const lastError = operation.parameters.restores === true ? container.view.lastError : null;
  return { ...off, view: { ...off.view, runtimeType: typeWhenOff(to, observed), exitCode, lastError } };
};

/** The figures of a conversion, now that its command has been answered. */
const conversionOf = (
  { view }: OperationRecord,
  commands: readonly CommandRecord[],
): Pick<OperationRecord['view'], 'conversion'> => {
  if (!view.conversion) return {};
  const answer = commands.find(({ command }) => command.arguments.verb === 'convertContainer')?.result;
  const downtimeMs = answer?.status === 'succeeded' ? (answer.downtimeMs ?? null) : null;
  return { conversion: { ...view.conversion, downtimeMs } };
};

/** Where a container is after its operation was done. */
const reached = (
  operation: OperationRecord,
  container: ContainerRecord,
  observed: ObservedContainer | null,
  stamp: Stamp,
): ContainerRecord => {
  const { kind } = operation.view;
  if (kind === 'convert') return converted(operation, container, observed, stamp);
  const started = RUNS_AFTER.includes(kind) || (kind === 'create' && operation.parameters.start === true);
  if (!started || observed?.phase === 'Off' || observed?.phase === 'Absent') {
    const off = turnedOff(container, observed, stamp);
    // It has run, even if not for long: the next start may meet what it wrote.
    return started ? { ...off, ranAs: [...new Set([...off.ranAs, off.view.runtimeType])] } : off;
  }
  return turnedOn(container, observed, stamp.at, stamp);
};

const removal = async (table: Table, container: ContainerRecord, at: string): Promise<readonly Write[]> => {
  const { tenant, reservation, heldDiskMB, tombstone } = container;
  const { hostId } = container.view;
  const other = tombstone === null ? undefined : await table.get(keys.operation(tenant, tombstone));
  const waiting = other && parseOperation(other);
  return [
    ...deleteContainer(container),
    ...(hostId !== null && (reservation !== null || heldDiskMB > 0)
      ? [giveRoom(tenant, hostId, { ...(reservation ?? NO_ROOM), diskMB: heldDiskMB })]
      : []),
    ...(reservation !== null ? [deleteComputeProcess(container)] : []),
    ...(waiting !== undefined && !isEnded(waiting.view.state)
      ? [replaceOperation(waiting, endedOperation(waiting, 'Succeeded', { error: null, steps: [] }, at))]
      : []),
  ];
};

/** An image that a host holds. */
export interface OnHost {
  readonly tenant: string;
  readonly hostId: string;
  readonly image: ImageFacts;
}

/** The image in the catalogue, as its newest import describes it, and that the host holds it. */
const catalogueImport = async (
  table: Table,
  { tenant, hostId, image }: OnHost,
  { at, actor }: Stamp,
): Promise<readonly Write[]> => {
  const item = await table.get(keys.image(tenant, image.name), { consistent: true });
  if (item === undefined) return addToCatalogue({ tenant, hostId, image }, { at, actor });
  const { revision, view } = parseImage(item);
  const after: ImageRecord = {
    tenant,
    revision: revision + 1,
    actor,
    view: { ...image, name: view.name, createdAt: view.createdAt },
  };
  return [
    {
      put: {
        Item: imageItem(after),
        ConditionExpression: 'revision = :revision',
        ExpressionAttributeValues: { ':revision': toAttribute(revision) },
      },
    },
    { put: { Item: imageOnHostItem(tenant, image, hostId) } },
  ];
};

const addToCatalogue = ({ tenant, hostId, image }: OnHost, { at, actor }: Stamp): readonly Write[] => [
  {
    put: {
      Item: imageItem({ tenant, revision: 1, actor, view: { ...image, createdAt: at } }),
      ConditionExpression: 'attribute_not_exists(pk)',
    },
  },
  { put: { Item: imageOnHostItem(tenant, image, hostId) } },
];

/**
 * That a host holds an image, which is added to the catalogue if it is not there. What the catalogue says of it stays:
 * one host must not decide where the containers of other hosts can run.
 */
export const catalogueReport = async (
  table: Table,
  { tenant, hostId, image }: OnHost,
  stamp: Stamp,
): Promise<readonly Write[]> => {
  const key = keys.image(tenant, image.name);
  if ((await table.get(key, { consistent: true })) === undefined)
    return addToCatalogue({ tenant, hostId, image }, stamp);
  return [
    { check: { Key: keyItem(key), ConditionExpression: 'attribute_exists(pk)' } },
    { put: { Item: imageOnHostItem(tenant, image, hostId) } },
  ];
};

const isSameName = (a: string, b: string): boolean => caseInsensitiveKey(a) === caseInsensitiveKey(b);

const imageOf = (commands: readonly CommandRecord[]): ImageFacts | undefined => {
  const result = commands.map((command) => command.result).find((one) => one?.status === 'succeeded');
  return result?.status === 'succeeded' ? result.image : undefined;
};

const consequences = async (
  deps: WorkflowDependencies,
  { operation, container }: InWorkflow,
  commands: readonly CommandRecord[],
  stamp: Stamp,
): Promise<readonly Write[]> => {
  const { hostId } = operation.view;
  if (container === undefined) {
    const image = imageOf(commands);
    if (image === undefined || hostId === null) return [];
    // A host may answer with another image than the one that it was asked to import.
    const asked = isSameName(image.name, operation.view.imageName ?? '');
    const catalogue = asked ? catalogueImport : catalogueReport;
    return catalogue(deps.table, { tenant: operation.tenant, hostId, image }, stamp);
  }
  if (operation.view.kind === 'remove') return removal(deps.table, container, stamp.at);
  const observed = lastObserved(commands);
  const after = reached(operation, container, observed, stamp);
  return letGoOf(deps, { before: container, after, observed });
};

/**
 * Ends an operation that was done: its container, the capacity, the compute process and the operation itself in one
 * transaction. A repeat finds it ended.
 */
export const commitOperation = (deps: WorkflowDependencies, input: WorkflowInput): Promise<CommitOutcome> =>
  decideAgain(async () => {
    const found = await readWorkflow(deps.table, input);
    if (found === undefined) return { kind: 'superseded' };
    const { operation } = found;
    if (isEnded(operation.view.state))
      return operation.view.state === 'Succeeded'
        ? { kind: 'already-ended', operation }
        : { kind: 'superseded' };
    if (!isCurrent(found, input)) return { kind: 'superseded' };
    const commands = await readCommands(deps.table, found);
    const stamp: Stamp = { at: deps.now().toISOString(), actor: operation.actor };
    const ended = endedOperation(
      operation,
      'Succeeded',
      { error: null, steps: finalSteps(operation, commands, stamp.at), ...conversionOf(operation, commands) },
      stamp.at,
    );
    await deps.table.transact([
      replaceOperation(operation, ended),
      ...(await consequences(deps, found, commands, stamp)),
    ]);
    await deleteCommands(deps.table, commands);
    return { kind: 'committed', operation: ended };
  });
