import { READ_CONTAINERS_ROUTES } from '../../core/contract/http/routes/read-containers.ts';
import type { RouteOf } from '../../core/contract/http/routes.ts';
import { toRuntimeType } from '../../core/contract/primitives.ts';
import { type ContainerFilters, listContainers } from '../../store/container-list.ts';
import { getContainer, resolveContainerId } from '../../store/containers.ts';
import { createCursors } from '../../store/cursor.ts';
import type { Table } from '../../store/table.ts';
import { answerResource } from '../shared/http/answers.ts';
import {
  createHttpHandler,
  type HttpDependencies,
  type LambdaHandler,
} from '../shared/http/create-http-handler.ts';
import type { RouteHandler, RouteRequest } from '../shared/http/exchange.ts';
import { answerPage, pagingOf } from '../shared/http/paging.ts';
import { toContainer, toContainerSummary } from '../shared/http/resources.ts';
import { notFound } from '../shared/http/validate.ts';

type ListQuery = RouteRequest<RouteOf<'listContainers'>>['query'];

/** Splits `k=v` at its first `=`: only the value can contain another. */
const splitLabel = (label: string): readonly [string, string] => {
  const at = label.indexOf('=');
  return [label.slice(0, at), label.slice(at + 1)];
};

const filtersOf = ({ runtimeType, state, hostId, name, image, label = [] }: ListQuery): ContainerFilters => ({
  ...(runtimeType !== undefined && { runtimeType: toRuntimeType(runtimeType) }),
  ...(state !== undefined && { state }),
  ...(hostId !== undefined && { hostId }),
  ...(name !== undefined && { name }),
  ...(image !== undefined && { image }),
  labels: label.map(splitLabel),
});

export const createHandler = (dependencies: HttpDependencies & { readonly table: Table }): LambdaHandler => {
  const { table, now, randomBytes } = dependencies;
  const cursors = createCursors(table, randomBytes);

  const list: RouteHandler<'listContainers'> = async ({ identity, query }) => {
    const moment = now();
    const page = await listContainers(table, cursors, identity.tenant, filtersOf(query), pagingOf(query));
    return answerPage(page, (record) => toContainerSummary(record, moment));
  };

  const get: RouteHandler<'getContainer'> = async ({ identity, params }) => {
    const id = await resolveContainerId(table, identity.tenant, params.idOrName);
    const container = id && (await getContainer(table, identity.tenant, id));
    if (!container) throw notFound();
    return answerResource(toContainer(container, now()));
  };

  return createHttpHandler(READ_CONTAINERS_ROUTES, { listContainers: list, getContainer: get }, dependencies);
};
