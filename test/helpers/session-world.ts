import { randomBytes, randomUUID } from 'node:crypto';
import type { CommandResult } from '../../core/contract/agent/commands.ts';
import type { ContainerState } from '../../core/contract/container.ts';
import { createProblem } from '../../core/domain/problems.ts';
import { createAuthorizeHostHandler } from '../../functions/authorize-host/handler.ts';
import { createHostConnectionHandler } from '../../functions/host-connection/handler.ts';
import { createHostMessageHandler } from '../../functions/host-message/handler.ts';
import { createSessionFrameHandler } from '../../functions/session-frame/handler.ts';
import type { PushResult } from '../../functions/shared/hosts/push.ts';
import { createMetrics } from '../../functions/shared/observability/metrics.ts';
import { storeResult } from '../../store/commands.ts';
import { containerItem } from '../../store/containers.ts';
import { hostItem } from '../../store/hosts.ts';
import { createItem } from '../../store/item-format.ts';
import { keys } from '../../store/keys.ts';
import { createApi } from './api.ts';
import type { EngineTable } from './dynoxide.ts';
import { FakeStepFunctions } from './fake-step-functions.ts';
import { containerRecord, hostRecord, TENANT, testId } from './records.ts';
import { testSeal, testSigning } from './signing.ts';

const ARN = 'arn:aws:execute-api:us-east-1:111122223333:api/v1/$connect';
export const HOST = testId(900);
export const CONTAINER = testId(1);

/** A host's answer to a command. */
export type Reply = Partial<Extract<CommandResult, { status: 'succeeded' }>> | 'nothing' | 'refuses';

/**
 * The functions for sessions on a real table, with a host that answers immediately. Messages to connections are
 * recorded.
 */
export const openSessionWorld = async ({ table, consumed }: EngineTable) => {
  const api = createApi(table);
  await table.put({ Item: containerItem(containerRecord('Running')) });
  await table.put({ Item: hostItem(hostRecord(900)) });
  const link = (connectionId: string) =>
    table.put({
      Item: createItem('hostLink', keys.hostLink(TENANT, HOST), {
        connectionId,
        lastSeenAt: api.clock.ms,
      }),
    });
  await link('host-1');
  const world = { reply: {} as Reply, gone: new Set<string>() };
  api.outside.onPush = async (_connection, { id, hostId }) => {
    if (world.reply === 'nothing') return 'sent';
    const common = { commandId: id, steps: [], observed: null };
    const error = { code: 'step-failed' as const, message: 'no such program' };
    const result: CommandResult =
      world.reply === 'refuses'
        ? { status: 'failed', ...common, error }
        : { status: 'succeeded', ...common, ...world.reply };
    await storeResult(table, TENANT, hostId, result);
    return 'sent';
  };
  const pushed: { to: string; message: Record<string, unknown> }[] = [];
  const closed: string[] = [];
  const deps = {
    table,
    ...testSeal,
    now: () => new Date(api.clock.ms),
    monotonic: () => api.clock.ms,
    randomBytes,
    logger: { debug() {}, info() {}, warn() {}, error() {}, with: () => deps.logger } as never,
    push: async (to: string, message: object): Promise<PushResult> => {
      if (world.gone.has(to)) return 'gone';
      pushed.push({ to, message: JSON.parse(JSON.stringify(message)) });
      return 'sent';
    },
    close: async (connectionId: string) => {
      closed.push(connectionId);
    },
  };
  const authorizer = createAuthorizeHostHandler(deps);
  const connection = createHostConnectionHandler(deps);
  const frame = createSessionFrameHandler(deps);
  const now = deps.now;
  const tasks = new FakeStepFunctions(() => api.clock.ms);
  const message = createHostMessageHandler({
    ...{
      ...deps,
      ...testSigning,
      tasks,
      startFailure: tasks.startFailure,
      newId: randomUUID,
      problem: createProblem,
    },
    ...{ metrics: createMetrics({ now, write: () => undefined }), heartbeatSeconds: 60, leaseSeconds: 180 },
  });

  const authorize = (token: string, session: string, headers: Record<string, string> = {}) =>
    authorizer({
      methodArn: ARN,
      headers: { ...(headers.authorization === '' ? {} : { Authorization: `Bearer ${token}` }), ...headers },
      queryStringParameters: { session },
    }) as Promise<{ context: Record<string, string> }>;
  const event = (routeKey: string, connectionId: string, context: object, more: object = {}) => ({
    requestContext: { connectionId, routeKey, connectedAt: api.clock.ms, authorizer: context },
    ...more,
  });
  return {
    ...{ api, table, consumed, world, pushed, closed, link, authorize },
    setState: (state: ContainerState) => table.put({ Item: containerItem(containerRecord(state)) }),
    open: async (body: object = {}) => {
      const answer = await api.call('openSession', { params: { idOrName: CONTAINER }, body });
      return answer.body as { sessionId: string; token: string; url: string; expiresAt: string };
    },
    /** Performs a handshake with a token. Returns its status. */
    connect: async (token: string, session: string, connectionId = 'client-1') => {
      const { context } = await authorize(token, session);
      return { context, ...(await connection(event('$connect', connectionId, context))) };
    },
    connection: (routeKey: string, connectionId: string, context: object, more: object = {}) =>
      connection(event(routeKey, connectionId, context, more)),
    fromClient: (sessionId: string, message: object, connectionId = 'client-1') =>
      frame(
        event(
          'session',
          connectionId,
          { tenant: TENANT, sessionId, tokenHash: 'x' },
          {
            body: JSON.stringify({ action: 'session', sessionId, ...message }),
          },
        ),
      ),
    /** Sends a message of a session client on the route of hosts. */
    toHostsRoute: (sessionId: string, body: string, connectionId = 'client-1') =>
      message(event('$default', connectionId, { tenant: TENANT, sessionId, tokenHash: 'x' }, { body })),
    fromHost: (sessionId: string, message: object, hostId = HOST) =>
      frame(
        event(
          'session',
          'host-1',
          { tenant: TENANT, hostId },
          {
            body: JSON.stringify({ action: 'session', sessionId, ...message }),
          },
        ),
      ),
  };
};
