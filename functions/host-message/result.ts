import type * as z from 'zod/mini';
import type { ResultSchema } from '../../core/contract/agent/messages.ts';
import { deleteCommand, storeResult } from '../../store/commands.ts';
import { type Connection, noteOnLink } from '../../store/links.ts';
import { isNetworkCommand, settleNetworkPolicy } from '../../workflow/network/network-policy.ts';
import { answerTask } from '../../workflow/operation/answer-task.ts';
import type { HostMessageDependencies } from './dependencies.ts';
import { takeReports } from './inventory.ts';
import { isOwnCommand } from './own-commands.ts';

/**
 * The answer to a command: stored, then told to whoever waits, then acknowledged. A repeat finds the first one stored
 * and tells that again, for whoever stored it may have died before telling. What no longer waits for an answer is
 * acknowledged too, or the host would send it for ever; what it says of a container still counts as a report.
 */
export const takeResult = async (
  deps: HostMessageDependencies,
  connection: Connection,
  { messageId, result }: z.infer<typeof ResultSchema>,
): Promise<void> => {
  const { tenant, hostId, connectionId } = connection;
  const answered = await storeResult(deps.table, tenant, hostId, result);
  if (answered.kind === 'unknown') {
    deps.logger.info('result of no command', { tenant, hostId, commandId: result.commandId });
    if (result.observed !== null) await takeReports(deps, connection, [result.observed]);
  } else {
    const { record } = answered;
    const told = await answerTask(deps.tasks, record);
    if (record.taskToken !== null && told === 'settled')
      deps.logger.info('nobody waits for the result', { tenant, hostId, commandId: result.commandId });
    if (isOwnCommand(record.command)) {
      if (isNetworkCommand(record.command)) {
        const { containerId, arguments: given } = record.command;
        await settleNetworkPolicy(deps, connection, { containerId, revision: given.revision }, result);
        // The next heartbeat asks for an inventory, and whoever takes that gives the policy again.
        if (result.status === 'failed') await noteOnLink(deps.table, connection, { recheck: true });
      }
      await deleteCommand(deps.table, tenant, record.command);
      if (result.observed?.containerId === record.command.containerId && result.observed !== null)
        await takeReports(deps, connection, [result.observed]);
    }
  }
  await deps.push(connectionId, { action: 'ack', messageId });
};
