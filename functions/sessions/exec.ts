import { SESSION_LIMITS } from '../../core/contract/session.ts';
import { BulkheadError } from '../../core/domain/errors.ts';
import { createSession, endSession, type SessionSeal } from '../../store/sessions.ts';
import { answerDryRun } from '../shared/http/answers.ts';
import type { RouteHandler } from '../shared/http/exchange.ts';
import { type HostQuery, type QueryDependencies, queryHost } from '../shared/query-host.ts';
import { findContainer, requireRunning } from './container.ts';

/** What the host needs beside the time that the command may take. */
const MARGIN_SECONDS = 2;

const utf8 = (base64: string): string => Buffer.from(base64, 'base64').toString('utf8');

/** Runs a command to its end. That it was run, by whom and for how long is in the audit, as a session's is. */
export const createExec = (
  dependencies: QueryDependencies & Pick<SessionSeal, 'seal'>,
): RouteHandler<'execInContainer'> => {
  const { table, now, newId } = dependencies;

  const run = async (session: { tenant: string; id: string; hostId: string }, query: HostQuery) => {
    try {
      const { exec } = await queryHost(dependencies, query);
      const reason = exec?.timedOut ? 'time-limit' : 'exited';
      await endSession(table, session, { reason, exitCode: exec?.exitCode ?? null }, now());
      return exec;
    } catch (error) {
      const reason = error instanceof BulkheadError ? error.code : 'internal';
      await endSession(table, session, { reason, exitCode: null }, now());
      throw error;
    }
  };

  return async ({ identity: { tenant, actor }, params, body, dryRun }) => {
    const container = await findContainer(table, tenant, params.idOrName);
    const hostId = requireRunning(container);
    if (dryRun) return answerDryRun(`run ${JSON.stringify(body.command[0])} in the container`);
    const timeoutSeconds = body.timeoutSeconds ?? SESSION_LIMITS.execSecondsDefault;
    const id = newId();
    const facts = {
      kind: 'exec',
      containerId: container.id,
      command: body.command,
      user: body.user ?? null,
      tty: false,
    } as const;
    const session = { tenant, id, actor, facts, hostId, totalSeconds: timeoutSeconds };
    await createSession(table, session, now(), dependencies);
    const exec = await run(session, {
      tenant,
      hostId,
      containerId: container.id,
      epoch: container.epoch,
      seconds: timeoutSeconds + MARGIN_SECONDS,
      arguments: { verb: 'exec', ...body, timeoutSeconds },
    });
    const { exitCode = 0, stdout = '', stderr = '', truncated = false, timedOut = false } = exec ?? {};
    return {
      status: 200,
      body: { exitCode, stdout: utf8(stdout), stderr: utf8(stderr), truncated, timedOut },
    };
  };
};
