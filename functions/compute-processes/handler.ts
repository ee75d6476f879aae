import { COMPUTE_PROCESSES_ROUTES } from '../../core/contract/http/routes/compute-processes.ts';
import { getComputeProcess, listComputeProcesses } from '../../store/compute-processes.ts';
import { isId } from '../../store/containers.ts';
import { createCursors } from '../../store/cursor.ts';
import type { Table } from '../../store/table.ts';
import {
  createHttpHandler,
  type HttpDependencies,
  type LambdaHandler,
} from '../shared/http/create-http-handler.ts';
import type { RouteHandler } from '../shared/http/exchange.ts';
import { answerPage, pagingOf } from '../shared/http/paging.ts';
import { toComputeProcess } from '../shared/http/resources.ts';
import { notFound } from '../shared/http/validate.ts';

export const createHandler = (dependencies: HttpDependencies & { readonly table: Table }): LambdaHandler => {
  const { table, randomBytes } = dependencies;
  const cursors = createCursors(table, randomBytes);

  const list: RouteHandler<'listComputeProcesses'> = async ({ identity, query }) =>
    answerPage(
      await listComputeProcesses(table, cursors, identity.tenant, query.hostId, pagingOf(query)),
      toComputeProcess,
    );

  const get: RouteHandler<'getComputeProcess'> = async ({ identity, params }) => {
    const id = params.id.toLowerCase();
    const record = isId(id) ? await getComputeProcess(table, identity.tenant, id) : undefined;
    if (record === undefined) throw notFound();
    return { status: 200, body: toComputeProcess(record) };
  };

  return createHttpHandler(
    COMPUTE_PROCESSES_ROUTES,
    { listComputeProcesses: list, getComputeProcess: get },
    dependencies,
  );
};
