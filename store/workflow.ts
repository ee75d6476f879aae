import type { ObservedContainer } from '../core/contract/agent/commands.ts';
import { STEPS, type WorkflowInput } from '../core/contract/deployment.ts';
import type { OperationStep } from '../core/contract/operation.ts';
import type { RuntimeType } from '../core/contract/primitives.ts';
import type { Problem, ProblemCode } from '../core/contract/problem.ts';
import { NO_ROOM, subtract } from '../core/domain/capacity.ts';
import { isNothing } from '../core/domain/conversion.ts';
import type { ErrorDetails } from '../core/domain/errors.ts';
import { isEnded } from '../core/domain/operation-state.ts';
import { listCommandsOf } from './commands.ts';
import { keys } from './keys.ts';
import { newOperation } from './operations.ts';
import { parseContainer, parseOperation } from './parse.ts';
import type { CommandRecord, ComputeProcessRecord, ContainerRecord, OperationRecord } from './records.ts';
import type { Table, Write } from './table.ts';
import {
  addOperation,
  deleteComputeProcess,
  giveRoom,
  nextContainer,
  nextOperation,
  putComputeProcess,
  type RoomChange,
  replaceContainer,
  replaceOperation,
  type Stamp,
} from './transition.ts';

/**
 * What the two ends of an operation, commit and settle, have in common.
 *
 * Invariants
 * - One transaction ends an operation, moves its container, moves the capacity and hands over to the removal that
 *   waits, if there is one. Each part is conditional on what was read.
 * - What was invoked twice, late, or for an operation that no longer has the container changes nothing.
 */
export interface WorkflowDependencies {
  readonly table: Table;
  readonly now: () => Date;
  readonly newId: () => string;
  readonly problem: (code: ProblemCode, detail: string, details?: ErrorDetails) => Problem;
}

export interface InWorkflow {
  readonly operation: OperationRecord;
  /** Undefined for an operation on an image, and if it no longer exists. */
  readonly container: ContainerRecord | undefined;
}

/** Operation and container as they stand now; undefined if there is no such operation. */
export const readWorkflow = async (
  table: Table,
  { tenant, operationId, containerId }: WorkflowInput,
): Promise<InWorkflow | undefined> => {
  const [operation, container] = await Promise.all([
    table.get(keys.operation(tenant, operationId), { consistent: true }),
    containerId === null ? undefined : table.get(keys.container(tenant, containerId), { consistent: true }),
  ]);
  if (operation === undefined) return undefined;
  return { operation: parseOperation(operation), container: container && parseContainer(container) };
};

/** Whether the operation is not ended and, if it is one on a container, has it in this epoch. */
export const isCurrent = (found: InWorkflow, input: WorkflowInput): boolean => {
  if (isEnded(found.operation.view.state)) return false;
  if (input.containerId === null) return true;
  return (
    found.container !== undefined &&
    found.container.epoch === input.epoch &&
    found.container.view.activeOperationId === input.operationId
  );
};

/** Whether the operation is to end without being done: cancelled, or overtaken by a removal. */
export const isUnwanted = ({ operation, container }: InWorkflow): boolean =>
  operation.view.state === 'Cancelling' || (container?.tombstone ?? null) !== null;

/** Workflow steps in the order in which they can happen. */
const ORDER: readonly string[] = Object.values(STEPS);
const AGENT_STEPS_SHOWN = 20;

const byOrder = (a: CommandRecord, b: CommandRecord): number =>
  ORDER.indexOf(a.step ?? '') - ORDER.indexOf(b.step ?? '');

/** Commands of the operation on its host, in the order of the steps. */
export const readCommands = async (
  table: Table,
  { operation, container }: InWorkflow,
): Promise<readonly CommandRecord[]> => {
  const hostId = container === undefined ? operation.view.hostId : container.view.hostId;
  const commands = await listCommandsOf(table, operation.tenant, hostId, operation.id);
  return [...commands].sort(byOrder);
};

/** What the host last said of the container in answers to these commands. */
export const lastObserved = (commands: readonly CommandRecord[]): ObservedContainer | null =>
  commands.reduce<ObservedContainer | null>((last, { result, command }) => {
    const observed = result?.observed ?? null;
    return observed !== null && observed.containerId === command.containerId ? observed : last;
  }, null);

const totalMs = (steps: readonly OperationStep[]): number | null =>
  steps.length === 0 ? null : steps.reduce((sum, { durationMs }) => sum + (durationMs ?? 0), 0);

/** Each command as a step, followed by what the host did for it. */
const commandSteps = (record: CommandRecord, at: string): readonly OperationStep[] => {
  const steps = record.result?.steps ?? [];
  const state = record.result === null || record.result.status === 'failed' ? 'Failed' : 'Succeeded';
  return [
    {
      name: record.step ?? record.command.arguments.verb,
      state,
      startedAt: steps[0]?.startedAt ?? at,
      durationMs: totalMs(steps),
    },
    ...steps.slice(0, AGENT_STEPS_SHOWN),
  ];
};

/** The steps of an operation that ends: what did not come from a command as it was, then the commands. */
export const finalSteps = (
  operation: OperationRecord,
  commands: readonly CommandRecord[],
  at: string,
): readonly OperationStep[] => [
  ...operation.view.steps
    .filter(({ name }) => name === STEPS.place)
    .map((step): OperationStep => (step.state === 'Running' ? { ...step, state: 'Failed' } : step)),
  ...commands.flatMap((record) => commandSteps(record, at)),
];

/** The compute process of a container that runs, as its host describes it. */
export const computeProcessOf = (
  record: ContainerRecord,
  observed: ObservedContainer | null,
  at: string,
): ComputeProcessRecord => ({
  tenant: record.tenant,
  containerId: record.id,
  revision: record.revision,
  view: {
    name: record.view.name,
    runtimeType: record.view.runtimeType,
    state: 'Running',
    hostId: record.view.hostId ?? '',
    startedAt: observed?.startedAt ?? at,
    workerProcess: observed?.workerProcess ?? null,
  },
});

const takenBy = (container: ContainerRecord, operationId: string): ContainerRecord => ({
  ...container,
  epoch: container.epoch + 1,
  stateBefore: container.view.state,
  tombstone: null,
  view: { ...container.view, state: 'Removing', activeOperationId: operationId },
});

/** What is held less after than before; null if that is nothing. */
const freed = (before: ContainerRecord, after: ContainerRecord): RoomChange | null => {
  const room =
    before.reservation === null ? NO_ROOM : subtract(before.reservation, after.reservation ?? NO_ROOM);
  const diskMB = before.heldDiskMB - after.heldDiskMB;
  return isNothing(room) && diskMB === 0 ? null : { ...room, diskMB };
};

/** Capacity and compute process that follow from where a container came from and where it is going. */
const consequences = (
  before: ContainerRecord,
  after: ContainerRecord,
  observed: ObservedContainer | null,
  at: string,
): readonly Write[] => {
  const released = before.reservation !== null && after.reservation === null;
  const hostId = before.view.hostId;
  const room = freed(before, after);
  return [
    ...(hostId !== null && room !== null ? [giveRoom(before.tenant, hostId, room)] : []),
    ...(released ? [deleteComputeProcess(before)] : []),
    ...(after.view.state === 'Running' && (observed !== null || before.view.startedAt === null)
      ? [putComputeProcess(computeProcessOf(after, observed, at))]
      : []),
  ];
};

/** A container that an operation lets go of, in the state `change` says. */
export interface LetGo {
  readonly before: ContainerRecord;
  /** Next record, without active operation; a state that holds no capacity has no reservation. */
  readonly after: ContainerRecord;
  readonly observed: ObservedContainer | null;
}

/**
 * The writes that let go of a container, and hand it on: to the removal that waits for it or, if it has ended
 * and removes itself, to one that is made here. The removal's execution is started by the table's stream.
 */
export const letGoOf = async (
  { table, now, newId }: WorkflowDependencies,
  { before, after, observed }: LetGo,
): Promise<readonly Write[]> => {
  const moment = now();
  const at = moment.toISOString();
  const follow = consequences(before, after, observed, at);
  if (after.tombstone !== null) {
    const item = await table.get(keys.operation(after.tenant, after.tombstone), { consistent: true });
    const waiting = item && parseOperation(item);
    if (waiting === undefined || isEnded(waiting.view.state))
      return [replaceContainer(before, { ...after, tombstone: null }), ...follow];
    const taken = takenBy(after, waiting.id);
    const started = nextOperation(waiting, { after: null, epoch: taken.epoch, view: { reason: null } }, at);
    return [replaceContainer(before, taken), replaceOperation(waiting, started), ...follow];
  }
  const ended = after.view.state === 'Off' && after.reservation === null && before.reservation !== null;
  if (ended && after.view.spec.autoRemove === true) {
    const taken = takenBy(after, newId());
    const removal = newOperation(taken, {
      id: taken.view.activeOperationId ?? '',
      kind: 'remove',
      actor: 'bulkhead',
      parameters: {},
      now: moment,
    });
    return [replaceContainer(before, taken), addOperation(removal), ...follow];
  }
  return [replaceContainer(before, after), ...follow];
};

/**
 * What a container is and holds now that a conversion, if there was one, has ended with it being of `type`.
 * Room is held for what it is, and no longer for what it might have become.
 */
export const settledType = (
  { conversion = null, reservation }: Pick<ContainerRecord, 'conversion' | 'reservation'>,
  from: RuntimeType,
  type: RuntimeType,
): Pick<ContainerRecord, 'conversion' | 'reservation'> & { readonly runtimeType: RuntimeType } => ({
  runtimeType: type,
  conversion: null,
  reservation: conversion === null ? reservation : type === from ? conversion.before : conversion.after,
});

/**
 * What a container that is off is from now on. A host that has it as HyperV has kept it from its kernel, or was on its
 * way to: it does not become Default by a failure.
 */
export const typeWhenOff = (type: RuntimeType, observed: ObservedContainer | null): RuntimeType =>
  observed?.phase === 'Off' && observed.runtimeType === 'HyperV' ? 'HyperV' : type;

/** A container that has ended: off, with nothing held for it. */
export const turnedOff = (
  record: ContainerRecord,
  observed: ObservedContainer | null,
  stamp: Stamp,
): ContainerRecord =>
  nextContainer(
    record,
    {
      reservation: null,
      conversion: null,
      stateBefore: null,
      observedSequence: observed?.sequence ?? record.observedSequence ?? null,
      view: {
        state: 'Off',
        runtimeType: typeWhenOff(record.view.runtimeType, observed),
        startedAt: null,
        exitCode: observed?.exitCode ?? null,
        lastError: null,
        activeOperationId: null,
      },
    },
    stamp,
  );

/** A container that runs, as its host sees it; `startedAt` is by the clock of the control plane, because uptime is told by it. */
export const turnedOn = (
  record: ContainerRecord,
  observed: ObservedContainer | null,
  startedAt: string,
  stamp: Stamp,
): ContainerRecord => {
  const from = record.view.runtimeType;
  const { runtimeType, ...held } = settledType(record, from, observed?.runtimeType ?? from);
  return nextContainer(
    record,
    {
      ...held,
      stateBefore: null,
      observedSequence: observed?.sequence ?? record.observedSequence ?? null,
      ranAs: [...new Set([...record.ranAs, runtimeType])],
      view: {
        state: 'Running',
        runtimeType,
        startedAt,
        exitCode: null,
        lastError: null,
        activeOperationId: null,
      },
    },
    stamp,
  );
};
