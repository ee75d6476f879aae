import type { Process } from '../../core/contract/compute-process.ts';
import { LIST_PROCESSES_ROUTES } from '../../core/contract/http/routes/list-processes.ts';
import { ConflictError } from '../../core/domain/errors.ts';
import { getContainerNow, resolveContainerId } from '../../store/containers.ts';
import { getHost } from '../../store/hosts.ts';
import type { Table } from '../../store/table.ts';
import { type QueryDependencies, queryHost } from '../shared/hosts/query-host.ts';
import {
  createHttpHandler,
  type HttpDependencies,
  type LambdaHandler,
} from '../shared/http/create-http-handler.ts';
import type { Answer, RouteHandler } from '../shared/http/exchange.ts';
import { notFound } from '../shared/http/validate.ts';

type ListProcessesDependencies = QueryDependencies & HttpDependencies & { readonly table: Table };

/** A single page: a host sends what fits in one message. */
const answerProcesses = (processes: readonly Process[] = []): Answer => ({
  status: 200,
  body: { items: processes, nextCursor: null },
});

export const createHandler = (dependencies: ListProcessesDependencies): LambdaHandler => {
  const { table } = dependencies;

  const askContainer = async (
    tenant: string,
    idOrName: string,
    verb: 'listProcesses' | 'reportIsolation',
  ) => {
    const id = await resolveContainerId(table, tenant, idOrName);
    const container = id && (await getContainerNow(table, tenant, id));
    if (!container) throw notFound();
    const { state, hostId } = container.view;
    if (state !== 'Running' || hostId === null)
      throw new ConflictError('invalid-state', `The container is ${state} and has no processes.`, {
        suggestion: 'Start the container first.',
        context: { state },
      });
    return queryHost(dependencies, {
      tenant,
      hostId,
      containerId: container.id,
      epoch: container.epoch,
      arguments: { verb },
    });
  };

  const ofContainer: RouteHandler<'listContainerProcesses'> = async ({ identity: { tenant }, params }) =>
    answerProcesses((await askContainer(tenant, params.idOrName, 'listProcesses')).processes);

  const isolation: RouteHandler<'getContainerIsolation'> = async ({ identity: { tenant }, params }) => ({
    status: 200,
    body: (await askContainer(tenant, params.idOrName, 'reportIsolation')).isolation,
  });

  const ofHost: RouteHandler<'listHostProcesses'> = async ({ identity: { tenant }, params: { id } }) => {
    if ((await getHost(table, tenant, id)) === undefined) throw notFound();
    const query = { tenant, hostId: id, containerId: null, epoch: 0 };
    const result = await queryHost(dependencies, { ...query, arguments: { verb: 'listHostProcesses' } });
    return answerProcesses(result.processes);
  };

  return createHttpHandler(
    LIST_PROCESSES_ROUTES,
    { listContainerProcesses: ofContainer, listHostProcesses: ofHost, getContainerIsolation: isolation },
    dependencies,
  );
};
