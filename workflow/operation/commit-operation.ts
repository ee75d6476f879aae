import type { ObservedContainer } from '../../core/contract/agent/commands.ts';
import type { WorkflowInput } from '../../core/contract/deployment.ts';
import type { ImageFacts } from '../../core/contract/image.ts';
import type { OperationKind } from '../../core/contract/operation.ts';
import { NO_RESERVATION } from '../../core/domain/capacity.ts';
import { caseInsensitiveKey } from '../../core/domain/names.ts';
import { isEnded } from '../../core/domain/operation-state.ts';
import { releaseCapacity } from '../../store/capacity.ts';
import type { CommandRecord } from '../../store/commands.ts';
import { type ContainerRecord, deleteContainer } from '../../store/containers.ts';
import { keys } from '../../store/keys.ts';
import { type OperationRecord, parseOperation, replaceOperation } from '../../store/operations.ts';
import { retryOnConflict } from '../../store/retry-on-conflict.ts';
import type { Table, Write } from '../../store/table.ts';
import type { WorkflowDependencies } from '../dependencies.ts';
import { catalogueImport, catalogueReport } from './catalogue-image.ts';
import { type CurrentOperation, isCurrent, readCurrentOperation } from './current-operation.ts';
import { endedOperation, type Stamp } from './next-records.ts';
import {
  exitError,
  laterExit,
  startedContainer,
  stoppedContainer,
  typeWhenOff,
} from './observed-container.ts';
import { releaseContainer } from './release-container.ts';
import { finalSteps, lastObserved } from './steps.ts';

type CommitOutcome =
  | { readonly kind: 'committed' | 'already-ended'; readonly operation: OperationRecord }
  /** The operation does not exist, it no longer has the container, or it is being undone. */
  | { readonly kind: 'superseded' };

/** Kinds after which the main process runs, unless the host reports otherwise. */
const RUNS_AFTER: readonly OperationKind[] = ['start', 'restart'];

/** A container after its conversion. For a container that is off, the operation decides the type, not the report. */
const convertedContainer = (
  operation: OperationRecord,
  container: ContainerRecord,
  observed: ObservedContainer | null,
  stamp: Stamp,
): ContainerRecord => {
  const to = operation.parameters.runtimeType ?? container.view.runtimeType;
  if (observed?.phase === 'Running') return startedContainer(container, observed, stamp.at, stamp);
  const off = stoppedContainer(container, observed, stamp);
  const exitCode = observed?.exitCode ?? container.view.exitCode;
  const lastError = operation.parameters.restores === true ? container.view.lastError : null;
  return { ...off, view: { ...off.view, runtimeType: typeWhenOff(to, observed), exitCode, lastError } };
};

/** The figures of a conversion, from the result of its command. */
const conversionOf = (
  { view }: OperationRecord,
  commands: readonly CommandRecord[],
): Pick<OperationRecord['view'], 'conversion'> => {
  if (!view.conversion) return {};
  const answer = commands.find(({ command }) => command.arguments.verb === 'convertContainer')?.result;
  const downtimeMs = answer?.status === 'succeeded' ? (answer.downtimeMs ?? null) : null;
  return { conversion: { ...view.conversion, downtimeMs } };
};

/** The container after its operation succeeded. */
const containerAfter = (
  operation: OperationRecord,
  container: ContainerRecord,
  observed: ObservedContainer | null,
  stamp: Stamp,
): ContainerRecord => {
  const { kind } = operation.view;
  if (kind === 'convert') return convertedContainer(operation, container, observed, stamp);
  const started = RUNS_AFTER.includes(kind) || (kind === 'create' && operation.parameters.start === true);
  if (!started || observed?.phase === 'Off' || observed?.phase === 'Absent') {
    const off = stoppedContainer(container, observed, stamp);
    // It has run, however briefly, and may have written to its disk.
    return started ? { ...off, ranAs: [...new Set([...off.ranAs, off.view.runtimeType])] } : off;
  }
  return startedContainer(container, observed, stamp.at, stamp);
};

const removal = async (table: Table, container: ContainerRecord, at: string): Promise<readonly Write[]> => {
  const { tenant, reservation, heldDiskMB, tombstone } = container;
  const { hostId } = container.view;
  const other = tombstone === null ? undefined : await table.get(keys.operation(tenant, tombstone));
  const waiting = other && parseOperation(other);
  return [
    ...deleteContainer(container),
    ...(hostId !== null && (reservation !== null || heldDiskMB > 0)
      ? [releaseCapacity(tenant, hostId, { ...(reservation ?? NO_RESERVATION), diskMB: heldDiskMB })]
      : []),
    ...(waiting !== undefined && !isEnded(waiting.view.state)
      ? [replaceOperation(waiting, endedOperation(waiting, 'Succeeded', { error: null, steps: [] }, at))]
      : []),
  ];
};

const isSameName = (a: string, b: string): boolean => caseInsensitiveKey(a) === caseInsensitiveKey(b);

const imageOf = (commands: readonly CommandRecord[]): ImageFacts | undefined => {
  const result = commands.map((command) => command.result).find((one) => one?.status === 'succeeded');
  return result?.status === 'succeeded' ? result.image : undefined;
};

const consequences = async (
  deps: WorkflowDependencies,
  { operation, container }: CurrentOperation,
  commands: readonly CommandRecord[],
  stamp: Stamp,
): Promise<readonly Write[]> => {
  const { hostId } = operation.view;
  if (container === undefined) {
    const image = imageOf(commands);
    if (image === undefined || hostId === null) return [];
    // A host may return an image other than the requested one.
    const asked = isSameName(image.name, operation.view.imageName ?? '');
    const catalogue = asked ? catalogueImport : catalogueReport;
    return catalogue(deps.table, { tenant: operation.tenant, hostId, image }, stamp);
  }
  if (operation.view.kind === 'remove') return removal(deps.table, container, stamp.at);
  const result = lastObserved(commands);
  const exit = laterExit(container, result);
  const observed = exit ?? result;
  const after = containerAfter(operation, container, observed, stamp);
  const lastError = exit && exitError(exit, deps.problem);
  const ended = lastError === null ? after : { ...after, view: { ...after.view, lastError } };
  return releaseContainer(deps, { before: container, after: ended, observed });
};

/**
 * Ends an operation that succeeded. One transaction writes the operation, its container and the capacity. A repeat has no effect.
 *
 * @param commands the operation's commands, with their results
 */
export const commitOperation = (
  deps: WorkflowDependencies,
  input: WorkflowInput,
  commands: readonly CommandRecord[],
): Promise<CommitOutcome> =>
  retryOnConflict(async () => {
    const found = await readCurrentOperation(deps.table, input);
    if (found === undefined) return { kind: 'superseded' };
    const { operation } = found;
    if (isEnded(operation.view.state))
      return operation.view.state === 'Succeeded'
        ? { kind: 'already-ended', operation }
        : { kind: 'superseded' };
    if (!isCurrent(found, input) || operation.undoing === true) return { kind: 'superseded' };
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
    return { kind: 'committed', operation: ended };
  });
