import { DEFAULT_STOP_SECONDS } from '../../core/contract/container.ts';
import { CONTROL_CONTAINER_ROUTES } from '../../core/contract/http/routes/control-container.ts';
import { getComputeProcess } from '../../store/compute-processes.ts';
import { isId, resolveContainerId } from '../../store/containers.ts';
import type { OperationParameters } from '../../store/operations.ts';
import type { Table } from '../../store/table.ts';
import type { Logger } from '../../workflow/logger.ts';
import type { Action, Decision } from '../../workflow/operation/decide-action.ts';
import { takeContainer } from '../../workflow/operation/take-container.ts';
import { previewPlacement } from '../../workflow/placement/preview-placement.ts';
import { answerDryRun } from '../shared/http/answers.ts';
import {
  createHttpHandler,
  type HttpDependencies,
  type LambdaHandler,
} from '../shared/http/create-http-handler.ts';
import type { Answer, Identity, RouteHandler, RouteRequest } from '../shared/http/exchange.ts';
import { notFound } from '../shared/http/validate.ts';
import { type ActDependencies, type ActionRequest, act, joinActive, readAndDecide } from './act.ts';

type ControlContainerDependencies = ActDependencies & HttpDependencies & { readonly table: Table };

const WOULD: Readonly<Record<Decision['kind'], (action: Action, name: string) => string>> = {
  begin: (action, name) => `${action} container "${name}"`,
  join: (action, name) => `change nothing: container "${name}" has an operation that does this (${action})`,
  unchanged: (_, name) => `change nothing: container "${name}" is already in this state`,
  supersede: (_, name) => `cancel the active operation of container "${name}", then remove the container`,
};

/** The part of a request that all of these routes share. */
interface Common {
  readonly identity: Identity;
  readonly logger: Logger;
  readonly dryRun: boolean;
  readonly ifMatch: ActionRequest['ifMatch'];
  readonly remember: RouteRequest<never>['remember'];
}

export const createHandler = (dependencies: ControlContainerDependencies): LambdaHandler => {
  const { table, newId, now } = dependencies;

  const perform = async (
    common: Common,
    containerId: string | undefined,
    action: Action,
    parameters: OperationParameters,
  ): Promise<Answer> => {
    if (containerId === undefined) throw notFound();
    const asked: ActionRequest = { ...common, containerId, action, parameters };
    if (!common.dryRun) return act(dependencies, asked);
    const { container, decision } = await readAndDecide(table, asked);
    if (decision.kind === 'join') await joinActive(table, container, action, decision.activeOperationId);
    const wouldDo = WOULD[decision.kind](action, container.view.name);
    if (decision.kind !== 'begin' || decision.operation !== 'start') return answerDryRun(wouldDo);
    const request = { operationId: newId(), actor: common.identity.actor, parameters, now: now() };
    return answerDryRun(
      wouldDo,
      await previewPlacement(dependencies, takeContainer(container, 'start', request)),
    );
  };

  const resolve = (request: {
    readonly identity: Identity;
    readonly params: { readonly idOrName: string };
  }) => resolveContainerId(table, request.identity.tenant, request.params.idOrName);

  const start: RouteHandler<'startContainer'> = async (request) =>
    perform(request, await resolve(request), 'start', {});

  const stop: RouteHandler<'stopContainer'> = async (request) =>
    perform(request, await resolve(request), 'stop', {
      timeoutSeconds: request.body.timeoutSeconds ?? DEFAULT_STOP_SECONDS,
    });

  const restart: RouteHandler<'restartContainer'> = async (request) =>
    perform(request, await resolve(request), 'restart', {
      timeoutSeconds: request.body.timeoutSeconds ?? DEFAULT_STOP_SECONDS,
    });

  const kill: RouteHandler<'killContainer'> = async (request) =>
    perform(request, await resolve(request), 'kill', { timeoutSeconds: 0 });

  const remove: RouteHandler<'removeContainer'> = async (request) =>
    perform(request, await resolve(request), 'remove', { force: request.query.force === 'true' });

  const stopComputeProcess: RouteHandler<'stopComputeProcess'> = async (request) => {
    const { identity, params } = request;
    const running =
      isId(params.id) && (await getComputeProcess(table, identity.tenant, params.id.toLowerCase()));
    return perform(request, running ? running.containerId : undefined, 'kill', { timeoutSeconds: 0 });
  };

  return createHttpHandler(
    CONTROL_CONTAINER_ROUTES,
    {
      startContainer: start,
      stopContainer: stop,
      restartContainer: restart,
      killContainer: kill,
      removeContainer: remove,
      stopComputeProcess,
    },
    dependencies,
  );
};
