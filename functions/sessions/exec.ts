import { SESSION_LIMITS } from '../../core/contract/session.ts';
import { BulkheadError } from '../../core/domain/errors.ts';
import { createSession, endSession, type SessionSeal } from '../../store/sessions.ts';
import { type HostQuery, type QueryDependencies, queryHost } from '../shared/hosts/query-host.ts';
import { answerDryRun } from '../shared/http/answers.ts';
import type { RouteHandler } from '../shared/http/exchange.ts';
import { findContainer, requireRunning } from './container.ts';

/** Extra time for the host, in addition to the command's time limit. */
const MARGIN_SECONDS = 2;

const utf8 = (base64: string): string => Buffer.from(base64, 'base64').toString('utf8');

/** How the process ended, as recorded for the audit. */
interface Ended {
  readonly reason: 'exited' | 'time-limit';
  readonly exitCode: number | null;
}
export type AuditedDependencies = QueryDependencies & Pick<SessionSeal, 'seal'>;
type Succeeded = Awaited<ReturnType<typeof queryHost>>;

/** Runs something in a container through its host, and records for the audit who ran it and how it ended. */
export const runAudited = async (
  dependencies: AuditedDependencies,
  { tenant, actor }: { readonly tenant: string; readonly actor: string },
  facts: Parameters<typeof createSession>[1]['facts'],
  query: HostQuery & { readonly seconds: number },
  endOf: (result: Succeeded) => Ended,
): Promise<Succeeded> => {
  const { table, now, newId } = dependencies;
  const { hostId } = query;
  const session = { tenant, id: newId(), actor, facts, hostId, totalSeconds: query.seconds };
  await createSession(table, session, now(), dependencies);
  try {
    const result = await queryHost(dependencies, query);
    await endSession(table, session, endOf(result), now());
    return result;
  } catch (error) {
    const reason = error instanceof BulkheadError ? error.code : 'internal';
    await endSession(table, session, { reason, exitCode: null }, now());
    throw error;
  }
};

/** Runs a command to its end. The audit records it as it records a session. */
export const createExec =
  (dependencies: AuditedDependencies): RouteHandler<'execInContainer'> =>
  async ({ identity, params, body, dryRun }) => {
    const { tenant } = identity;
    const container = await findContainer(dependencies.table, tenant, params.idOrName);
    const hostId = requireRunning(container);
    if (dryRun) return answerDryRun(`run ${JSON.stringify(body.command[0])} in the container`);
    const timeoutSeconds = body.timeoutSeconds ?? SESSION_LIMITS.execSecondsDefault;
    const facts = {
      kind: 'exec',
      containerId: container.id,
      command: body.command,
      user: body.user ?? null,
      tty: false,
    } as const;
    const query = {
      tenant,
      hostId,
      containerId: container.id,
      epoch: container.epoch,
      seconds: timeoutSeconds + MARGIN_SECONDS,
      arguments: { verb: 'exec', ...body, timeoutSeconds },
    } as const;
    const { exec } = await runAudited(dependencies, identity, facts, query, (result) => ({
      reason: result.exec?.timedOut ? 'time-limit' : 'exited',
      exitCode: result.exec?.exitCode ?? null,
    }));
    const { exitCode = 0, stdout = '', stderr = '', truncated = false, timedOut = false } = exec ?? {};
    return {
      status: 200,
      body: { exitCode, stdout: utf8(stdout), stderr: utf8(stderr), truncated, timedOut },
    };
  };
