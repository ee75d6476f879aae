import { HOSTS_ROUTES } from '../../core/contract/http/routes/hosts.ts';
import { ConflictError, TooBusyError } from '../../core/domain/errors.ts';
import { connectedHostState } from '../../core/domain/host-state.ts';
import { createCursors } from '../../store/cursor.ts';
import { isSilent, releaseLink } from '../../store/host-links.ts';
import { checkUnused, removeHost } from '../../store/host-removal.ts';
import { getLinkedHost, type HostView, type LinkedHost, listHosts, updateHost } from '../../store/hosts.ts';
import { retryOnConflict } from '../../store/retry-on-conflict.ts';
import type { Table, Write } from '../../store/table.ts';
import { isGone, removeAllWithoutHost } from '../../workflow/operation/removal-without-host.ts';
import { listRunning, recordUnknown } from '../../workflow/reconciliation/silent-host.ts';
import type { CloseConnection } from '../shared/hosts/close-connection.ts';
import { answerDryRun, answerResource } from '../shared/http/answers.ts';
import {
  createHttpHandler,
  type HttpDependencies,
  type LambdaHandler,
} from '../shared/http/create-http-handler.ts';
import type { Answer, Identity, RouteHandler, RouteRequest } from '../shared/http/exchange.ts';
import { answerPage, pagingOf } from '../shared/http/paging.ts';
import { checkRevision } from '../shared/http/preconditions.ts';
import { toHost } from '../shared/http/resources.ts';
import { notFound } from '../shared/http/validate.ts';

/** Time for the containers of one host, in milliseconds, well within a request's time. */
const FORCED_REMOVAL_MS = 15_000;
/** Containers of a lost host that become `Unknown` in the request. The sweep does the rest. */
const CONTAINERS_AT_ONCE = 200;

interface HostsDependencies extends HttpDependencies {
  readonly table: Table;
  readonly closeConnection: CloseConnection;
  readonly leaseSeconds: number;
}

/** The part of a request that all changes of a host share. */
interface Change {
  readonly identity: Identity;
  readonly params: { readonly id: string };
  readonly dryRun: boolean;
  readonly ifMatch: number | '*' | null;
  readonly remember: RouteRequest<never>['remember'];
}

/** Sets whether the host accepts containers. A caller cannot change whether the host is connected. */
const withSchedulable = (view: HostView, schedulable: boolean): HostView => ({
  ...view,
  schedulable,
  state: view.state === 'Ready' || view.state === 'Draining' ? connectedHostState(schedulable) : view.state,
});

export const createHandler = (dependencies: HostsDependencies): LambdaHandler => {
  const { table, now, newId, randomBytes, leaseSeconds, closeConnection } = dependencies;
  const cursors = createCursors(table, randomBytes);
  const show = ({ host, link }: LinkedHost) => toHost(host, link, now(), leaseSeconds);

  const require = async ({ tenant }: Identity, id: string): Promise<LinkedHost> => {
    const found = await getLinkedHost(table, tenant, id);
    if (found === undefined) throw notFound();
    return found;
  };

  const change = (
    { identity, params, dryRun, ifMatch, remember }: Change,
    next: (view: HostView) => HostView,
    wouldDo: string,
    also: (linked: LinkedHost) => readonly Write[] = () => [],
  ): Promise<Answer> =>
    retryOnConflict(async () => {
      const { host: before, link } = await require(identity, params.id);
      checkRevision(ifMatch, before.revision);
      const view = next(before.view);
      if (dryRun) return answerDryRun(`${wouldDo} host "${before.view.name}"`);
      if (JSON.stringify(view) === JSON.stringify(before.view))
        return answerResource(show({ host: before, link }));
      const host = { ...before, view, revision: before.revision + 1 };
      const answer = answerResource(show({ host, link }));
      const writes = [...also({ host: before, link }), ...remember(answer)];
      await updateHost(table, { before, view, actor: identity.actor }, writes, newId());
      return answer;
    });

  const list: RouteHandler<'listHosts'> = async ({ identity, query }) =>
    answerPage(await listHosts(table, cursors, identity.tenant, pagingOf(query)), show);

  const get: RouteHandler<'getHost'> = async ({ identity, params }) =>
    answerResource(show(await require(identity, params.id)));

  const update: RouteHandler<'updateHost'> = (request) => {
    const { labels, schedulable } = request.body;
    return change(
      request,
      (view) => ({
        ...(schedulable === undefined ? view : withSchedulable(view, schedulable)),
        labels: labels ?? view.labels,
      }),
      'change',
    );
  };

  const drain: RouteHandler<'drainHost'> = (request) =>
    change(request, (view) => withSchedulable(view, false), 'stop placing containers on');

  /** @throws ConflictError `invalid-state` if the host's agent seems to be connected */
  const refuseConnected = ({ host, link }: LinkedHost): void => {
    const isConnected =
      link !== undefined && link.connectionId !== null && !isSilent(link, now(), leaseSeconds);
    if (host.view.state === 'Lost' || !isConnected) return;
    throw new ConflictError('invalid-state', `Host "${host.view.name}" is connected.`, {
      suggestion:
        'If the machine is off all the same, send the request with ?force=true. This cannot be undone.',
      context: { hostId: host.id },
    });
  };

  /** The sweep continues with containers that are still shown as running. */
  const declareLost: RouteHandler<'declareHostLost'> = async (request) => {
    const { identity, params, dryRun, query } = request;
    if (query.force !== 'true') refuseConnected(await require(identity, params.id));
    let connectionId: string | null = null;
    const answer = await change(
      request,
      (view) => ({ ...view, schedulable: false, state: 'Lost' }),
      'declare as lost',
      ({ link }) => {
        connectionId = link?.connectionId ?? null;
        return link === undefined ? [] : [releaseLink(link, now())];
      },
    );
    if (dryRun) return answer;
    if (connectionId !== null) await closeConnection(connectionId);
    const lost = { tenant: identity.tenant, hostId: params.id };
    for (const containerId of await listRunning(table, lost, CONTAINERS_AT_ONCE))
      await recordUnknown({ table, now }, { tenant: identity.tenant, containerId }, undefined);
    return answer;
  };

  /** @throws TooBusyError if there are more than one request can remove */
  const removeContainers = async ({ tenant, actor }: Identity, { host, link }: LinkedHost): Promise<void> => {
    const removal = { host: { tenant, hostId: host.id }, link, actor };
    if (await removeAllWithoutHost(dependencies, removal, now().getTime() + FORCED_REMOVAL_MS)) return;
    throw new TooBusyError('The host has more containers than one request can remove. Some were removed.', {
      suggestion: 'Send the request again until it succeeds.',
    });
  };

  const remove: RouteHandler<'removeHost'> = async ({
    identity,
    params,
    query,
    dryRun,
    ifMatch,
    remember,
  }) => {
    const answer: Answer = { status: 204 };
    if (query.force === 'true' && !dryRun) {
      const found = await require(identity, params.id);
      checkRevision(ifMatch, found.host.revision);
      if (isGone(found, now(), leaseSeconds)) await removeContainers(identity, found);
    }
    const removed = await retryOnConflict(async () => {
      const found = await require(identity, params.id);
      checkRevision(ifMatch, found.host.revision);
      if (dryRun) {
        await checkUnused(table, found.host);
        return { name: found.host.view.name, connectionId: null };
      }
      await removeHost(table, { before: found.host, actor: identity.actor }, remember(answer), newId());
      return { name: found.host.view.name, connectionId: found.link?.connectionId ?? null };
    });
    if (dryRun) return answerDryRun(`remove host "${removed.name}"`);
    if (removed.connectionId !== null) await closeConnection(removed.connectionId);
    return answer;
  };

  return createHttpHandler(
    HOSTS_ROUTES,
    {
      listHosts: list,
      getHost: get,
      updateHost: update,
      drainHost: drain,
      declareHostLost: declareLost,
      removeHost: remove,
    },
    dependencies,
  );
};
