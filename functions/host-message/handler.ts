import {
  type AgentMessage,
  AgentMessageSchema,
  declaredProtocol,
  OLDEST_PROTOCOL_VERSION,
  PROTOCOL_VERSION,
} from '../../core/contract/agent/messages.ts';
import { type Connection, hasLink } from '../../store/host-links.ts';
import { recordHeldImages } from '../../workflow/reconciliation/held-images.ts';
import { parseHostEvent } from '../shared/hosts/host-event.ts';
import { takeCommandRefused } from './command-refused.ts';
import type { HostMessageDependencies } from './dependencies.ts';
import { takeHeartbeat } from './heartbeat.ts';
import { takeHello } from './hello.ts';
import { takeReports } from './inventory.ts';
import { takeProgress } from './progress.ts';
import { takeResult } from './result.ts';
import { expelSessionClient } from './session-client.ts';

const parseJson = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
};

const messageIdIn = (message: unknown): string | null => {
  const id = (message as { messageId?: unknown } | null | undefined)?.messageId;
  return typeof id === 'string' ? id.slice(0, 128) : null;
};

const isAccepted = (protocol: number): boolean =>
  protocol >= OLDEST_PROTOCOL_VERSION && protocol <= PROTOCOL_VERSION;

/** Nothing else of the hello is read. The host stays without a lease until it connects with another version. */
const refuseProtocol = async (
  deps: HostMessageDependencies,
  { tenant, hostId, connectionId }: Connection,
  hello: unknown,
  protocol: number,
): Promise<void> => {
  const update = protocol < OLDEST_PROTOCOL_VERSION ? 'Update the agent.' : 'Update the control plane.';
  const detail = `The agent uses protocol version ${protocol}. The control plane accepts ${OLDEST_PROTOCOL_VERSION} to ${PROTOCOL_VERSION}. ${update}`;
  deps.logger.warn('refused an agent of another protocol version', { tenant, hostId, protocol, detail });
  await deps.push(connectionId, { action: 'refused', messageId: messageIdIn(hello), detail });
  await deps.close(connectionId);
};

const takeObserved = async (
  deps: HostMessageDependencies,
  connection: Connection,
  message: Extract<AgentMessage, { action: 'observed' }>,
): Promise<void> => {
  if (message.images !== undefined)
    await recordHeldImages(
      deps.table,
      connection,
      { images: message.images, range: message.imageRange },
      deps.now().toISOString(),
    );
  await takeReports(deps, connection, message.observed);
  await deps.push(connection.connectionId, { action: 'ack', messageId: message.messageId });
};

/**
 * Handles all messages of hosts. The connection's authorizer identifies the host, and a message can refer only to items
 * of that host. A message outside the contract is refused and must not be sent again. A message over a superseded
 * connection changes nothing, and the connection is closed: hello and heartbeat detect this when they renew the lease,
 * other messages before they are processed. After an error the message stays unacknowledged, so the host sends it
 * again.
 */
export const createHostMessageHandler = (deps: HostMessageDependencies) => {
  const isCurrent = async (connection: Connection, { action }: AgentMessage): Promise<boolean> => {
    if (action === 'hello' || action === 'heartbeat' || (await hasLink(deps.table, connection))) return true;
    const { tenant, hostId, connectionId } = connection;
    deps.logger.warn('message over a connection that is not the current one', { tenant, hostId, action });
    await deps.close(connectionId);
    return false;
  };

  const take = (connection: Connection, message: AgentMessage): Promise<void> => {
    switch (message.action) {
      case 'hello':
        return takeHello(deps, connection, message);
      case 'heartbeat':
        return takeHeartbeat(deps, connection, message);
      case 'result':
        return takeResult(deps, connection, message);
      case 'observed':
        return takeObserved(deps, connection, message);
      case 'progress':
        return takeProgress(deps, connection, message);
      case 'commandRefused':
        return takeCommandRefused(deps, connection, message);
    }
  };

  return async (event: unknown): Promise<{ readonly statusCode: number }> => {
    const given = parseHostEvent(event);
    if (given === undefined) {
      if (!(await expelSessionClient(deps, event))) deps.logger.error('event without a principal');
      return { statusCode: 403 };
    }
    const { connection, body } = given;
    const sent = parseJson(body);
    const protocol = declaredProtocol(sent, 'hello');
    if (protocol !== null && !isAccepted(protocol)) {
      await refuseProtocol(deps, connection, sent, protocol);
      return { statusCode: 200 };
    }
    const message = AgentMessageSchema.safeParse(sent);
    if (message.success) {
      if (await isCurrent(connection, message.data)) await take(connection, message.data);
      return { statusCode: 200 };
    }
    const issue = message.error.issues[0];
    const detail =
      sent === undefined ? 'not JSON' : `${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'malformed'}`;
    deps.logger.warn('refused a message', {
      tenant: connection.tenant,
      hostId: connection.hostId,
      at: issue?.path.join('.') ?? '',
    });
    await deps.push(connection.connectionId, {
      action: 'refused',
      messageId: messageIdIn(sent),
      detail: detail.slice(0, 1024),
    });
    return { statusCode: 200 };
  };
};
