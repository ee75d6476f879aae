import type { LogPage } from '../../core/contract/session.ts';
import { ValidationError } from '../../core/domain/errors.ts';
import { type QueryDependencies, queryHost } from '../shared/hosts/query-host.ts';
import type { RouteHandler } from '../shared/http/exchange.ts';
import { pointerTo } from '../shared/http/issues.ts';
import { findContainer } from './container.ts';

/** The log of a container that has never been on a host. */
const NOTHING: LogPage = { items: [], truncated: false, more: false, nextCursor: '0.0' };

/** A page of the main process's output. The host keeps it in any state of the container. */
export const createReadLogs =
  (dependencies: QueryDependencies): RouteHandler<'getContainerLogs'> =>
  async ({ identity: { tenant }, params, query: { tail, since, cursor } }) => {
    if (tail !== undefined && cursor !== undefined)
      throw new ValidationError('The request is not valid.', {
        errors: [
          {
            pointer: pointerTo('query', 'tail'),
            detail: 'Applies to the first page only. Omit it together with cursor.',
          },
        ],
      });
    const container = await findContainer(dependencies.table, tenant, params.idOrName);
    const { hostId } = container.view;
    if (hostId === null) return { status: 200, body: NOTHING };
    const { log } = await queryHost(dependencies, {
      tenant,
      hostId,
      containerId: container.id,
      epoch: container.epoch,
      arguments: {
        verb: 'readLog',
        ...(tail !== undefined && { tail: Number(tail) }),
        ...(since !== undefined && { since }),
        ...(cursor !== undefined && { cursor }),
      },
    });
    return { status: 200, body: log ?? NOTHING };
  };
