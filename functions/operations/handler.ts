import { OPERATIONS_ROUTES } from '../../core/contract/http/routes/operations.ts';
import { isEnded } from '../../core/domain/operation-state.ts';
import { createCursors } from '../../store/cursor.ts';
import {
  getOperation,
  getOperationNow,
  listOperations,
  type OperationRecord,
} from '../../store/operations.ts';
import { retryOnConflict } from '../../store/retry-on-conflict.ts';
import type { Table } from '../../store/table.ts';
import type { Tasks } from '../../workflow/tasks.ts';
import { cancelPlacement } from '../../workflow/waiting/cancel-placement.ts';
import { answerDryRun } from '../shared/http/answers.ts';
import {
  createHttpHandler,
  type HttpDependencies,
  type LambdaHandler,
} from '../shared/http/create-http-handler.ts';
import type { Answer, RouteHandler } from '../shared/http/exchange.ts';
import { answerPage, pagingOf } from '../shared/http/paging.ts';
import { toOperation, toOperationSummary } from '../shared/http/resources.ts';
import { notFound } from '../shared/http/validate.ts';
import { cancellationOf } from './cancel.ts';
import { waitForEnd } from './wait.ts';

interface OperationsDependencies extends HttpDependencies {
  readonly table: Table;
  readonly tasks: Tasks;
}

const show = (operation: OperationRecord): Answer => ({ status: 200, body: toOperation(operation) });

export const createHandler = (dependencies: OperationsDependencies): LambdaHandler => {
  const { table, now, newId, randomBytes, tasks } = dependencies;
  const cursors = createCursors(table, randomBytes);

  const list: RouteHandler<'listOperations'> = async ({ identity, query }) =>
    answerPage(
      await listOperations(table, cursors, identity.tenant, query, pagingOf(query)),
      toOperationSummary,
    );

  const get: RouteHandler<'getOperation'> = async ({ identity, params, query, secondsToWait }) => {
    const asked = Number(query.waitSeconds ?? 0);
    const seconds = Math.min(asked, secondsToWait);
    const operation =
      seconds === 0
        ? await getOperation(table, identity.tenant, params.id)
        : await waitForEnd(() => getOperationNow(table, identity.tenant, params.id), seconds, dependencies);
    if (operation === undefined) throw notFound();
    const isCutShort = seconds < asked && !isEnded(operation.view.state);
    return { ...show(operation), ...(isCutShort && { headers: { 'retry-after': '1' } }) };
  };

  const cancel: RouteHandler<'cancelOperation'> = async ({ identity, params, dryRun, remember, logger }) => {
    const { tenant, actor } = identity;
    const { before, answer } = await retryOnConflict(async () => {
      const found = await getOperationNow(table, tenant, params.id);
      if (found === undefined) throw notFound();
      const { operation, writes } = await cancellationOf(table, found, now().toISOString(), actor);
      if (dryRun)
        return {
          before: null,
          answer: answerDryRun(
            writes.length === 0
              ? 'change nothing: the operation is already cancelled'
              : `cancel operation ${found.id}`,
          ),
        };
      const shown = show(operation);
      if (writes.length > 0) await table.transact([...writes, ...remember(shown)], newId());
      return { before: found, answer: shown };
    });
    if (before !== null) await cancelPlacement(tasks, before, logger);
    return answer;
  };

  return createHttpHandler(
    OPERATIONS_ROUTES,
    { listOperations: list, getOperation: get, cancelOperation: cancel },
    dependencies,
  );
};
