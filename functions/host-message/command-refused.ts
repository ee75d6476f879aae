import type * as z from 'zod/mini';
import type { CommandRefusedSchema } from '../../core/contract/agent/messages.ts';
import { storeResult } from '../../store/commands.ts';
import type { Connection } from '../../store/host-links.ts';
import { recordRefusedCommand } from '../../store/refused-commands.ts';
import { answerStep } from '../../workflow/operation/answer-task.ts';
import type { HostMessageDependencies } from './dependencies.ts';

/**
 * A host refused a command because it could not verify the signature. The refusal is recorded once, which causes the
 * event, and counted for the alarm. If a command with that id is pending, it is answered with a failure, so that it is
 * not sent again and its workflow ends.
 */
export const takeCommandRefused = async (
  deps: HostMessageDependencies,
  { tenant, hostId, connectionId }: Connection,
  { messageId, commandId, reason }: z.infer<typeof CommandRefusedSchema>,
): Promise<void> => {
  const at = deps.now().toISOString();
  if (await recordRefusedCommand(deps.table, { tenant, hostId, commandId, reason, at })) {
    deps.metrics.count('commandRefused');
    deps.logger.warn('a host refused a command', { tenant, hostId, commandId, reason });
  }
  if (commandId !== '') {
    const answered = await storeResult(deps.table, tenant, hostId, {
      status: 'failed',
      commandId,
      steps: [],
      observed: null,
      error: {
        code: 'command-not-authentic',
        message: `The host refused the command as not authentic (${reason}).`,
        suggestion: 'See docs/runbook/commands-refused.md.',
      },
    });
    if (answered.kind !== 'unknown') await answerStep(deps, answered.record);
  }
  await deps.push(connectionId, { action: 'ack', messageId });
};
