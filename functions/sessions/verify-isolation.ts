import { HostNotAnsweringError } from '../../core/domain/errors.ts';
import { answerDryRun } from '../shared/http/answers.ts';
import type { RouteHandler } from '../shared/http/exchange.ts';
import { findContainer, requireRunning } from './container.ts';
import { type AuditedDependencies, runAudited } from './exec.ts';

/** The host limits the probes to 15 seconds. */
const SECONDS = 20;
/** Recorded in the audit instead of a command. */
const AUDITED_COMMAND = ['bulkhead', 'verify-isolation'];

/** Runs the probes in a container. They are code that runs inside it, so the audit records them like an exec. */
export const createVerifyIsolation =
  (dependencies: AuditedDependencies): RouteHandler<'verifyContainerIsolation'> =>
  async ({ identity, params, dryRun }) => {
    const { tenant } = identity;
    const container = await findContainer(dependencies.table, tenant, params.idOrName);
    const hostId = requireRunning(container);
    if (dryRun) return answerDryRun('run the isolation probes in the container');
    const facts = {
      kind: 'exec',
      containerId: container.id,
      command: AUDITED_COMMAND,
      user: null,
      tty: false,
    } as const;
    const query = {
      tenant,
      hostId,
      containerId: container.id,
      epoch: container.epoch,
      seconds: SECONDS,
      arguments: { verb: 'verifyIsolation' },
    } as const;
    const { verification } = await runAudited(dependencies, identity, facts, query, (result) => ({
      reason: 'exited',
      exitCode: result.verification?.asExpected === true ? 0 : 1,
    }));
    if (verification === undefined)
      throw new HostNotAnsweringError('The host sent no probe results.', {
        suggestion: 'Update the agent of the host, then verify again.',
        context: { hostId },
      });
    return { status: 200, body: verification };
  };
