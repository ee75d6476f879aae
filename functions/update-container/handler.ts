import { isDeepStrictEqual } from 'node:util';
import type { UpdateContainerRequest } from '../../core/contract/container.ts';
import { UPDATE_CONTAINER_ROUTES } from '../../core/contract/http/routes/update-container.ts';
import { resolveNetworkPolicy } from '../../core/contract/network.ts';
import { toRuntimeType } from '../../core/contract/primitives.ts';
import { ConflictError } from '../../core/domain/errors.ts';
import { type CommandRecord, type SignCommand, signRecord } from '../../store/commands.ts';
import {
  type ContainerRecord,
  getContainerNow,
  replaceContainer,
  resolveContainerId,
} from '../../store/containers.ts';
import type { OperationRecord } from '../../store/operations.ts';
import { retryOnConflict } from '../../store/retry-on-conflict.ts';
import type { Table } from '../../store/table.ts';
import { beginConversion } from '../../workflow/conversion/begin-conversion.ts';
import { type ConversionDecision, decideConversion } from '../../workflow/conversion/decide-conversion.ts';
import { previewConversion } from '../../workflow/conversion/preview-conversion.ts';
import { networkCommand, networkWrites } from '../../workflow/network/network-policy.ts';
import { beginOperation } from '../../workflow/operation/begin-operation.ts';
import { nextContainer, type Stamp } from '../../workflow/operation/next-records.ts';
import type { Push } from '../shared/hosts/push.ts';
import { wakeHost } from '../shared/hosts/wake-host.ts';
import { answerDryRun, answerOperation, answerResource } from '../shared/http/answers.ts';
import {
  createHttpHandler,
  type HttpDependencies,
  type LambdaHandler,
} from '../shared/http/create-http-handler.ts';
import type { Answer, RouteHandler } from '../shared/http/exchange.ts';
import { checkRevision } from '../shared/http/preconditions.ts';
import { toContainer } from '../shared/http/resources.ts';
import { notFound } from '../shared/http/validate.ts';
import { type StartWorkflow, startAccepted } from '../shared/steps/start-workflow.ts';

interface UpdateContainerDependencies extends HttpDependencies {
  readonly table: Table;
  readonly startWorkflow: StartWorkflow;
  readonly push: Push;
  readonly sign: SignCommand;
}

type Request = Parameters<RouteHandler<'updateContainer'>>[0];
type Begin = Extract<ConversionDecision, { kind: 'begin' }>;

interface Done {
  readonly answer: Answer;
  readonly start?: OperationRecord;
  /** Written to the table; the host must be notified. */
  readonly tell?: CommandRecord | null;
}

interface Changes {
  /** Names of the changed members, for the dry run. */
  readonly names: readonly string[];
  readonly setsNetwork: boolean;
  readonly view: Pick<ContainerRecord['view'], 'labels' | 'spec'> & Partial<ContainerRecord['view']>;
}

/** The members of the view that the request changes without an operation; null if none. */
const changesOf = (
  { view, revision }: ContainerRecord,
  { labels = view.labels, restartPolicy = view.spec.restartPolicy, network }: UpdateContainerRequest,
): Changes | null => {
  const resolved = network && resolveNetworkPolicy(network);
  // A policy that the host has not confirmed is sent again.
  const setsNetwork =
    resolved !== undefined && (view.networkPending || !isDeepStrictEqual(resolved, view.spec.network));
  const names = [
    ...(isDeepStrictEqual(labels, view.labels) ? [] : ['labels']),
    ...(isDeepStrictEqual(restartPolicy, view.spec.restartPolicy) ? [] : ['restart policy']),
    ...(setsNetwork ? ['network policy'] : []),
  ];
  if (names.length === 0) return null;
  const policy = setsNetwork ? { network: resolved, networkRevision: revision + 1 } : {};
  const pending = setsNetwork ? { networkPending: view.hostId !== null } : {};
  return {
    names,
    setsNetwork,
    view: { labels, spec: { ...view.spec, restartPolicy, ...policy }, ...pending },
  };
};

/** The command that sends the changes to the host, and its writes. */
const telling = async (
  sign: SignCommand,
  [before, after]: readonly [ContainerRecord, ContainerRecord],
  changes: Changes | null,
  now: Date,
) => {
  if (!changes?.setsNetwork) return { tell: null, writes: [] };
  const command = networkCommand(after, now);
  const tell = command && (await signRecord(sign, command));
  return { tell, writes: networkWrites(before, tell, now) };
};

/** @throws ConflictError `not-supported-yet` */
const refuseRecreate = ({ strategy }: UpdateContainerRequest): void => {
  if (strategy !== 'recreate') return;
  throw new ConflictError('not-supported-yet', 'This version does not support the strategy "recreate".', {
    suggestion: 'Omit strategy, or set it to "inPlace".',
  });
};

export const createHandler = (dependencies: UpdateContainerDependencies): LambdaHandler => {
  const { table, now, newId, sign, startWorkflow } = dependencies;

  const decide = async (
    before: ContainerRecord,
    body: UpdateContainerRequest,
  ): Promise<ConversionDecision> => {
    if (body.runtimeType === undefined) return { kind: 'unchanged' };
    refuseRecreate(body);
    const to = toRuntimeType(body.runtimeType);
    return decideConversion(table, before, to, body.acceptUntrustedDisk === true);
  };

  const begin = async (
    { identity, body, remember, dryRun }: Request,
    before: ContainerRecord,
    { inputs }: Begin,
  ): Promise<Done> => {
    const { from, to } = inputs.rules;
    if (dryRun) {
      const wouldDo = `convert container "${before.view.name}" from ${from} to ${to}`;
      return { answer: answerDryRun(wouldDo, null, await previewConversion(table, before, inputs)) };
    }
    const moment = now();
    const changes = changesOf(before, body);
    const { container, operation } = beginConversion(before, {
      operationId: newId(),
      actor: identity.actor,
      to,
      now: moment,
      view: changes?.view ?? {},
      acceptUntrustedDisk: inputs.rules.acceptUntrustedDisk,
    });
    const answer = answerOperation(202, container, operation, moment);
    const { tell, writes } = await telling(sign, [before, container], changes, moment);
    await beginOperation(table, {
      before,
      after: container,
      operation,
      remember: [...writes, ...remember(answer)],
      token: operation.id,
    });
    return { answer, start: operation, tell };
  };

  const change = async (
    { identity, body, remember, dryRun }: Request,
    before: ContainerRecord,
  ): Promise<Done> => {
    const moment = now();
    const changes = changesOf(before, body);
    if (dryRun) {
      const what = changes === null ? 'nothing' : changes.names.join(' and ');
      return { answer: answerDryRun(`change ${what} of container "${before.view.name}"`) };
    }
    if (changes === null) return { answer: answerResource(toContainer(before, moment)) };
    const stamp: Stamp = { at: moment.toISOString(), actor: identity.actor };
    const after = nextContainer(before, { view: changes.view }, stamp);
    const answer = answerResource(toContainer(after, moment));
    const { tell, writes } = await telling(sign, [before, after], changes, moment);
    await table.transact([replaceContainer(before, after), ...writes, ...remember(answer)], newId());
    return { answer, tell };
  };

  const update: RouteHandler<'updateContainer'> = async (request) => {
    const { tenant } = request.identity;
    const id = await resolveContainerId(table, tenant, request.params.idOrName);
    const { answer, start, tell } = await retryOnConflict(async (): Promise<Done> => {
      const before = id && (await getContainerNow(table, tenant, id));
      if (!before) throw notFound();
      checkRevision(request.ifMatch, before.revision);
      const decision = await decide(before, request.body);
      return decision.kind === 'begin' ? begin(request, before, decision) : change(request, before);
    });
    if (tell) await wakeHost({ ...dependencies, logger: request.logger }, tell);
    if (start !== undefined) await startAccepted(startWorkflow, start, request.logger);
    return answer;
  };

  return createHttpHandler(UPDATE_CONTAINER_ROUTES, { updateContainer: update }, dependencies);
};
