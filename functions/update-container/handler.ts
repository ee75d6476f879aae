import type { UpdateContainerRequest } from '../../core/contract/container.ts';
import { toRuntimeType } from '../../core/contract/primitives.ts';
import { ConflictError } from '../../core/domain/errors.ts';
import { getContainerNow, resolveContainerId } from '../../store/containers.ts';
import { previewConversion, takeForConversion } from '../../store/conversions.ts';
import { beginOperation } from '../../store/operations.ts';
import { type ContainerRecord, type OperationRecord, toContainer } from '../../store/records.ts';
import type { Table } from '../../store/table.ts';
import { decideAgain, nextContainer, replaceContainer, type Stamp } from '../../store/transition.ts';
import { type ConversionDecision, decideConversion } from '../shared/convert-container.ts';
import { answerDryRun, answerOperation, answerResource } from '../shared/http/answers.ts';
import {
  createHttpHandler,
  type HttpDependencies,
  type LambdaHandler,
} from '../shared/http/create-http-handler.ts';
import type { Answer, RouteHandler } from '../shared/http/exchange.ts';
import { checkRevision } from '../shared/http/preconditions.ts';
import { notFound } from '../shared/http/validate.ts';
import { type StartWorkflow, startAccepted } from '../shared/start-workflow.ts';

export interface UpdateContainerDependencies extends HttpDependencies {
  readonly table: Table;
  readonly startWorkflow: StartWorkflow;
}

type Request = Parameters<RouteHandler<'updateContainer'>>[0];
type Begin = Extract<ConversionDecision, { kind: 'begin' }>;

interface Done {
  readonly answer: Answer;
  readonly start?: OperationRecord;
}

/** The view's members that the request changes at once; null if that is nothing. */
const changesOf = (
  { view }: ContainerRecord,
  { labels, restartPolicy }: UpdateContainerRequest,
): Pick<ContainerRecord['view'], 'labels' | 'spec'> | null => {
  const wanted = { labels: labels ?? view.labels, restartPolicy: restartPolicy ?? view.spec.restartPolicy };
  const current = { labels: view.labels, restartPolicy: view.spec.restartPolicy };
  if (JSON.stringify(wanted) === JSON.stringify(current)) return null;
  return { labels: wanted.labels, spec: { ...view.spec, restartPolicy: wanted.restartPolicy } };
};

/** @throws ConflictError `not-supported-yet` */
const refuseRecreate = ({ strategy }: UpdateContainerRequest): void => {
  if (strategy !== 'recreate') return;
  throw new ConflictError(
    'not-supported-yet',
    'This version has no host that converts by strategy "recreate".',
    {
      suggestion: 'Leave strategy out, or ask for "inPlace".',
    },
  );
};

export const createHandler = (dependencies: UpdateContainerDependencies): LambdaHandler => {
  const { table, now, newId, startWorkflow } = dependencies;

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
    { ground }: Begin,
  ): Promise<Done> => {
    const { from, to } = ground.rules;
    if (dryRun) {
      const wouldDo = `convert container "${before.view.name}" from ${from} to ${to}`;
      return { answer: answerDryRun(wouldDo, null, await previewConversion(table, before, ground)) };
    }
    const moment = now();
    const { container, operation } = takeForConversion(before, {
      operationId: newId(),
      actor: identity.actor,
      to,
      now: moment,
      view: changesOf(before, body) ?? {},
    });
    const answer = answerOperation(202, container, operation, moment);
    const token = operation.id;
    await beginOperation(table, { before, after: container, operation, remember: remember(answer), token });
    return { answer, start: operation };
  };

  const change = async (
    { identity, body, remember, dryRun }: Request,
    before: ContainerRecord,
  ): Promise<Done> => {
    const moment = now();
    const view = changesOf(before, body);
    if (dryRun) {
      const what = view === null ? 'nothing' : 'labels and restart policy';
      return { answer: answerDryRun(`change ${what} of container "${before.view.name}"`) };
    }
    const stamp: Stamp = { at: moment.toISOString(), actor: identity.actor };
    const after = view === null ? before : nextContainer(before, { view }, stamp);
    const answer = answerResource(toContainer(after, moment));
    if (view !== null) await table.transact([replaceContainer(before, after), ...remember(answer)], newId());
    return { answer };
  };

  const update: RouteHandler<'updateContainer'> = async (request) => {
    const { tenant } = request.identity;
    const id = await resolveContainerId(table, tenant, request.params.idOrName);
    const { answer, start } = await decideAgain(async (): Promise<Done> => {
      const before = id && (await getContainerNow(table, tenant, id));
      if (!before) throw notFound();
      checkRevision(request.ifMatch, before.revision);
      const decision = await decide(before, request.body);
      return decision.kind === 'begin' ? begin(request, before, decision) : change(request, before);
    });
    if (start !== undefined) await startAccepted(startWorkflow, start, request.logger);
    return answer;
  };

  return createHttpHandler({ updateContainer: update }, dependencies);
};
