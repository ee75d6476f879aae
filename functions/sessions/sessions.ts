import type { SessionRequest } from '../../core/contract/session.ts';
import { BulkheadError, ValidationError } from '../../core/domain/errors.ts';
import { createSession, endSession, getSession, type SessionSeal } from '../../store/sessions.ts';
import type { CloseConnection } from '../shared/hosts/close-connection.ts';
import { type QueryDependencies, queryHost } from '../shared/hosts/query-host.ts';
import { answerDryRun } from '../shared/http/answers.ts';
import type { RouteHandler } from '../shared/http/exchange.ts';
import { pointerTo } from '../shared/http/issues.ts';
import { notFound } from '../shared/http/validate.ts';
import { findContainer, requireRunning, requireStartable } from './container.ts';

export interface SessionDependencies extends QueryDependencies, Pick<SessionSeal, 'seal'> {
  readonly closeConnection: CloseConnection;
  readonly webSocketUrl: string;
  readonly idleSeconds: number;
  readonly totalSeconds: number;
}

const excluding = (member: keyof SessionRequest, other: keyof SessionRequest) =>
  new ValidationError('The request is not valid.', {
    errors: [{ pointer: pointerTo('body', member), detail: `Cannot be combined with ${other}.` }],
  });

const ATTACHED_WITHOUT = ['command', 'user', 'runAsAdministrator', 'env', 'workingDir'] as const;
const ATTACHED_ONLY = ['logs', 'cursor', 'paced', 'awaitStart'] as const;

/** @throws ValidationError if members contradict each other */
const check = (body: SessionRequest): void => {
  if (body.user !== undefined && body.runAsAdministrator === true)
    throw excluding('runAsAdministrator', 'user');
  const wrong = body.attach === true ? ATTACHED_WITHOUT.find((name) => body[name] !== undefined) : undefined;
  if (wrong !== undefined) throw excluding(wrong, 'attach');
  const alone = body.attach === true ? undefined : ATTACHED_ONLY.find((name) => Boolean(body[name]));
  if (alone !== undefined)
    throw new ValidationError('The request is not valid.', {
      errors: [{ pointer: pointerTo('body', alone), detail: 'Requires attach.' }],
    });
  const earlier = (['logs', 'awaitStart'] as const).find((name) => body[name] === true);
  if (earlier !== undefined && body.cursor !== undefined) throw excluding('cursor', earlier);
};

const factsOf = (containerId: string, body: SessionRequest) => ({
  kind: body.attach === true ? ('attach' as const) : ('session' as const),
  containerId,
  command: body.command ?? null,
  user: body.user ?? (body.runAsAdministrator === true ? 'administrator' : null),
  tty: body.tty === true,
});

/**
 * Opens a session: records it, starts it on the host, then returns it. So a start that fails is refused here with the
 * host's reason, and every started session is in the audit.
 */
export const createOpenSession =
  (dependencies: SessionDependencies): RouteHandler<'openSession'> =>
  async ({ identity: { tenant, actor }, params, body, dryRun }) => {
    const { table, now, newId, webSocketUrl, idleSeconds, totalSeconds } = dependencies;
    const container = await findContainer(table, tenant, params.idOrName);
    const request = body ?? {};
    check(request);
    const hostId = request.awaitStart === true ? requireStartable(container) : requireRunning(container);
    if (dryRun) return answerDryRun('open a session in the container');
    const sessionId = newId();
    const session = {
      tenant,
      id: sessionId,
      actor,
      facts: factsOf(container.id, request),
      hostId,
      totalSeconds,
    };
    const { token, expiresAt } = await createSession(table, session, now(), dependencies);
    try {
      await queryHost(dependencies, {
        tenant,
        hostId,
        containerId: container.id,
        epoch: container.epoch,
        arguments: { verb: 'openSession', ...request, sessionId, idleSeconds, totalSeconds },
      });
    } catch (error) {
      const reason = error instanceof BulkheadError ? error.code : 'internal';
      await endSession(table, session, { reason, exitCode: null }, now());
      throw error;
    }
    const url = `${webSocketUrl}?session=${sessionId}`;
    return { status: 201, body: { sessionId, url, token, expiresAt: expiresAt.toISOString() } };
  };

/** Ends a session: records it, disconnects the client and notifies the host. */
export const createRevokeSession =
  (dependencies: SessionDependencies): RouteHandler<'revokeSession'> =>
  async ({ identity: { tenant, actor }, params, dryRun }) => {
    const { table, now, closeConnection } = dependencies;
    const container = await findContainer(table, tenant, params.idOrName);
    const session = await getSession(table, tenant, params.sessionId);
    if (session === undefined || session.view.containerId !== container.id) throw notFound();
    if (dryRun) return answerDryRun('end the session');
    const { hostId } = session.view;
    const end = { reason: 'revoked', exitCode: null, actor };
    const ended = await endSession(table, { tenant, id: session.id, hostId }, end, now());
    if (ended === undefined) return { status: 204 };
    await queryHost(dependencies, {
      tenant,
      hostId,
      containerId: container.id,
      epoch: container.epoch,
      arguments: { verb: 'closeSession', sessionId: session.id, reason: 'revoked' },
    }).finally(async () => {
      if (ended.connectionId !== null) await closeConnection(ended.connectionId);
    });
    return { status: 204 };
  };
