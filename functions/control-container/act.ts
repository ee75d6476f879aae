import { isEnded } from '../../core/domain/operation-state.ts';
import { addCommand, type CommandRecord, type SignCommand } from '../../store/commands.ts';
import { type ContainerRecord, getContainerNow } from '../../store/containers.ts';
import { getOperationNow, type OperationParameters, type OperationRecord } from '../../store/operations.ts';
import { retryOnConflict } from '../../store/retry-on-conflict.ts';
import { ConditionFailed, type Table } from '../../store/table.ts';
import type { Logger } from '../../workflow/logger.ts';
import {
  beginOperation,
  recordOperation,
  supersedeOperation,
} from '../../workflow/operation/begin-operation.ts';
import { type Action, type Decision, decide } from '../../workflow/operation/decide-action.ts';
import { acceptDirectly } from '../../workflow/operation/direct-operation.ts';
import { inProgress } from '../../workflow/operation/in-progress.ts';
import { findSilentLink, removeWithoutHost } from '../../workflow/operation/removal-without-host.ts';
import {
  nothingToDo,
  type Request,
  supersede,
  takeContainer,
} from '../../workflow/operation/take-container.ts';
import { type Accepted, planPlacement } from '../../workflow/placement/place-container.ts';
import type { Tasks } from '../../workflow/tasks.ts';
import { cancelPlacement } from '../../workflow/waiting/cancel-placement.ts';
import type { Dependencies } from '../shared/dependencies.ts';
import type { Push } from '../shared/hosts/push.ts';
import { wakeHost } from '../shared/hosts/wake-host.ts';
import { answerOperation } from '../shared/http/answers.ts';
import type { Answer, Identity, RouteRequest } from '../shared/http/exchange.ts';
import { checkRevision } from '../shared/http/preconditions.ts';
import { notFound } from '../shared/http/validate.ts';
import { type StartWorkflow, startAccepted } from '../shared/steps/start-workflow.ts';

export interface ActDependencies extends Dependencies {
  readonly table: Table;
  readonly startWorkflow: StartWorkflow;
  readonly tasks: Tasks;
  readonly sign: SignCommand;
  readonly push: Push;
  /** The lease of hosts: those that were silent for longer do not take part in a removal with `force`. */
  readonly leaseSeconds: number;
}

/** A request for an action on a container. */
export interface ActionRequest {
  readonly containerId: string;
  readonly action: Action;
  readonly parameters: OperationParameters;
  readonly identity: Identity;
  readonly logger: Logger;
  readonly ifMatch: number | '*' | null;
  readonly remember: RouteRequest<never>['remember'];
}

/** Reads the container and decides what the action does. @throws NotFoundError, RevisionMismatchError, ConflictError */
export const readAndDecide = async (
  table: Table,
  { containerId, action, parameters, identity, ifMatch }: Omit<ActionRequest, 'remember' | 'logger'>,
): Promise<{ readonly container: ContainerRecord; readonly decision: Decision }> => {
  const container = await getContainerNow(table, identity.tenant, containerId);
  if (container === undefined) throw notFound();
  checkRevision(ifMatch, container.revision);
  return { container, decision: decide(container, action, parameters.force === true) };
};

/** The response, and what must follow the write to the table. */
interface Done {
  readonly answer: Answer;
  readonly start?: OperationRecord;
  /** For the host, if no execution runs the operation. */
  readonly tell?: CommandRecord;
  readonly wake?: OperationRecord;
}

const begin = async (
  dependencies: ActDependencies,
  { remember }: ActionRequest,
  before: ContainerRecord,
  kind: Action,
  request: Request,
): Promise<Done> => {
  const { table, newId, sign } = dependencies;
  const taken = takeContainer(before, kind, request);
  const write = async ({ reserve, ...accepted }: Accepted): Promise<Done | null> => {
    const direct = await acceptDirectly(sign, accepted, request.now);
    const { container, operation } = { ...accepted, ...(direct && { operation: direct.operation }) };
    const answer = answerOperation(202, container, operation, request.now);
    const writes = [...(direct ? [addCommand(direct.command)] : []), ...remember(answer)];
    const given = { before, after: container, operation, reserve, remember: writes, token: newId() };
    if (!(await beginOperation(table, given))) return null;
    return direct ? { answer, tell: direct.command } : { answer, start: operation };
  };
  const placed = kind === 'start' ? await planPlacement(dependencies, taken) : null;
  const done = (placed && (await write(placed))) ?? (await write(taken));
  if (done === null) throw new TypeError('An operation without a reservation was not written');
  return done;
};

const leaveUnchanged = async (
  { table }: ActDependencies,
  { action, remember }: ActionRequest,
  container: ContainerRecord,
  request: Request,
): Promise<Done> => {
  const operation = nothingToDo(container, action, request);
  const answer = answerOperation(200, container, operation, request.now);
  await recordOperation(table, operation, remember(answer));
  return { answer };
};

/**
 * The operation that blocks a removal: the removal that already waits, or the active operation of the container.
 * @throws ConditionFailed if it has ended since the container was read, so that the caller reads again
 */
const blockingOperation = async (
  table: Table,
  { tenant, tombstone }: ContainerRecord,
  activeOperationId: string,
): Promise<OperationRecord> => {
  const [waiting, active] = await Promise.all([
    tombstone === null ? undefined : getOperationNow(table, tenant, tombstone),
    getOperationNow(table, tenant, activeOperationId),
  ]);
  const found = [waiting, active].find((one) => one !== undefined && !isEnded(one.view.state));
  if (found === undefined) throw new ConditionFailed(0, undefined);
  return found;
};

/** Whether an operation does what the action asks for. */
const doesTheSame = ({ view, parameters }: OperationRecord, action: Action): boolean =>
  view.kind === action || (action === 'start' && view.kind === 'create' && parameters.start === true);

/**
 * The active operation of a container, if it does what the action asks for: equal requests at once all succeed.
 * @throws ConflictError `operation-in-progress` for another operation, or one that is being cancelled
 * @throws ConditionFailed if it has ended since the container was read, so that the caller reads again
 */
export const joinActive = async (
  table: Table,
  { tenant }: ContainerRecord,
  action: Action,
  activeOperationId: string,
): Promise<OperationRecord> => {
  const active = await getOperationNow(table, tenant, activeOperationId);
  if (active === undefined || isEnded(active.view.state)) throw new ConditionFailed(0, undefined);
  if (active.view.state === 'Cancelling' || !doesTheSame(active, action)) throw inProgress(activeOperationId);
  return active;
};

const join = async (
  { table }: ActDependencies,
  { action }: ActionRequest,
  container: ContainerRecord,
  activeOperationId: string,
  request: Request,
): Promise<Done> => {
  const active = await joinActive(table, container, action, activeOperationId);
  return { answer: answerOperation(202, container, active, request.now) };
};

/** Returns the removal that is active or waits already; queues one otherwise. */
const removeAfter = async (
  { table }: ActDependencies,
  { remember }: ActionRequest,
  before: ContainerRecord,
  activeOperationId: string,
  request: Request,
): Promise<Done> => {
  const blocking = await blockingOperation(table, before, activeOperationId);
  if (blocking.view.kind === 'remove') return { answer: answerOperation(202, before, blocking, request.now) };
  const { container, operation, active } = supersede(before, blocking, request);
  const answer = answerOperation(202, container, operation, request.now);
  await supersedeOperation(table, {
    before,
    after: container,
    operation,
    active: active && { before: blocking, after: active },
    remember: remember(answer),
    token: operation.id,
  });
  return { answer, wake: blocking };
};

/** @returns null if it is not a removal with `force`, or the host is not silent */
const removeAtOnce = async (
  dependencies: ActDependencies,
  { action, parameters, remember }: ActionRequest,
  before: ContainerRecord,
  request: Request,
): Promise<Done | null> => {
  if (action !== 'remove' || parameters.force !== true) return null;
  const silent = await findSilentLink(dependencies.table, before, {
    now: request.now,
    leaseSeconds: dependencies.leaseSeconds,
  });
  if (silent === null) return null;
  const operation = nothingToDo(before, 'remove', request);
  const answer = answerOperation(202, before, operation, request.now);
  const ended = await removeWithoutHost(dependencies.table, {
    ...{ before, operation, link: silent.link },
    remember: remember(answer),
  });
  const waiting = ended.find(({ placeToken }) => placeToken !== null);
  return { answer, ...(waiting && { wake: waiting }) };
};

const tryOnce = async (dependencies: ActDependencies, asked: ActionRequest): Promise<Done> => {
  const { container, decision } = await readAndDecide(dependencies.table, asked);
  const request: Request = {
    operationId: dependencies.newId(),
    actor: asked.identity.actor,
    parameters: asked.parameters,
    now: dependencies.now(),
  };
  const removed = await removeAtOnce(dependencies, asked, container, request);
  if (removed !== null) return removed;
  switch (decision.kind) {
    case 'begin':
      return begin(dependencies, asked, container, decision.operation, request);
    case 'unchanged':
      return leaveUnchanged(dependencies, asked, container, request);
    case 'join':
      return join(dependencies, asked, container, decision.activeOperationId, request);
    case 'supersede':
      return removeAfter(dependencies, asked, container, decision.activeOperationId, request);
  }
};

/** Performs the action. Reads and decides again if another writer changed the container. */
export const act = async (dependencies: ActDependencies, asked: ActionRequest): Promise<Answer> => {
  const { answer, start, tell, wake } = await retryOnConflict(() => tryOnce(dependencies, asked));
  if (tell !== undefined) await wakeHost({ ...dependencies, logger: asked.logger }, tell);
  if (start !== undefined) await startAccepted(dependencies.startWorkflow, start, asked.logger);
  if (wake !== undefined) await cancelPlacement(dependencies.tasks, wake, asked.logger);
  return answer;
};
