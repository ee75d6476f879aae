import { dropLink, takeLink } from '../../store/host-links.ts';
import type { Table } from '../../store/table.ts';
import type { Logger } from '../../workflow/logger.ts';
import type { CloseConnection } from '../shared/hosts/close-connection.ts';
import { parseHostEvent } from '../shared/hosts/host-event.ts';
import type { Push } from '../shared/hosts/push.ts';
import { createSessionConnection, parseSessionEvent } from './session.ts';

export interface HostConnectionDependencies {
  readonly table: Table;
  readonly now: () => Date;
  readonly close: CloseConnection;
  readonly push: Push;
  readonly logger: Logger;
}

export interface ConnectionAnswer {
  readonly statusCode: number;
  readonly headers?: Readonly<Record<string, string>>;
}

/**
 * Handles connects and disconnects of hosts. The link refers to the newest connection. A disconnect changes only the
 * link: placement chooses no disconnected host, and the sweeper decides by the lease whether the host is silent.
 */
export const createHostConnectionHandler = (dependencies: HostConnectionDependencies) => {
  const { table, now, close, logger } = dependencies;
  const takeSession = createSessionConnection(dependencies);
  return async (event: unknown): Promise<ConnectionAnswer> => {
    const session = parseSessionEvent(event);
    if (session !== undefined) return takeSession(session);
    const given = parseHostEvent(event);
    if (given === undefined) {
      logger.error('event without a principal');
      return { statusCode: 403 };
    }
    const { connection, connectedAt, routeKey } = given;
    const { tenant, hostId } = connection;
    if (routeKey === '$disconnect') {
      const dropped = await dropLink(table, connection, now());
      logger.info('host disconnected', { tenant, hostId, superseded: !dropped });
      return { statusCode: 200 };
    }
    const taken = await takeLink(table, connection, connectedAt, now());
    if (taken === undefined) return { statusCode: 409 };
    logger.info('host connected', { tenant, hostId });
    if (taken.superseded !== null) await close(taken.superseded);
    return { statusCode: 200 };
  };
};
