import type * as z from 'zod/mini';
import type { ResultSchema } from '../../core/contract/agent/messages.ts';
import { deleteCommand, storeResult } from '../../store/commands.ts';
import { type Connection, noteOnLink } from '../../store/host-links.ts';
import { isNetworkCommand, settleNetworkPolicy } from '../../workflow/network/network-policy.ts';
import { answerTask } from '../../workflow/operation/answer-task.ts';
import type { HostMessageDependencies } from './dependencies.ts';
import { takeReports } from './inventory.ts';
import { isOwnCommand } from './own-commands.ts';

/**
 * Handles the result of a command: stores it, answers the workflow step, then acknowledges it. A duplicate answers the
 * step again with the stored result, because the first invocation may have crashed in between. A result that nothing waits
 * for is acknowledged too, so that the host stops sending it; its observation of a container still counts as a report.
 */
export const takeResult = async (
  deps: HostMessageDependencies,
  connection: Connection,
  { messageId, result }: z.infer<typeof ResultSchema>,
): Promise<void> => {
  const { tenant, hostId, connectionId } = connection;
  const answered = await storeResult(deps.table, tenant, hostId, result);
  if (answered.kind === 'unknown') {
    deps.logger.info('result of an unknown command', { tenant, hostId, commandId: result.commandId });
    if (result.observed !== null) await takeReports(deps, connection, [result.observed]);
  } else {
    const { record } = answered;
    const told = await answerTask(deps.tasks, record);
    if (record.taskToken !== null && told === 'settled')
      deps.logger.info('nothing waits for the result', { tenant, hostId, commandId: result.commandId });
    if (isOwnCommand(record.command)) {
      if (isNetworkCommand(record.command)) {
        const { containerId, arguments: given } = record.command;
        await settleNetworkPolicy(deps, connection, { containerId, revision: given.revision }, result);
        // The next heartbeat requests an inventory, and its handler sends the policy again.
        if (result.status === 'failed') await noteOnLink(deps.table, connection, { recheck: true });
      }
      await deleteCommand(deps.table, tenant, record.command);
      if (result.observed?.containerId === record.command.containerId && result.observed !== null)
        await takeReports(deps, connection, [result.observed]);
    }
  }
  await deps.push(connectionId, { action: 'ack', messageId });
};
