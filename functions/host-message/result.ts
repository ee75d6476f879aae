import type * as z from 'zod/mini';
import type { CommandResult } from '../../core/contract/agent/commands.ts';
import type { ResultSchema } from '../../core/contract/agent/messages.ts';
import { type CommandRecord, deleteCommand, findCommand, storeResult } from '../../store/commands.ts';
import { type Connection, noteOnLink } from '../../store/host-links.ts';
import { isNetworkCommand, settleNetworkPolicy } from '../../workflow/network/network-policy.ts';
import { answerStep } from '../../workflow/operation/answer-task.ts';
import { completeOperation, completesOperation } from '../shared/steps/complete-operation.ts';
import type { HostMessageDependencies } from './dependencies.ts';
import { takeReports } from './inventory.ts';
import { isOwnCommand } from './own-commands.ts';

/** Completes the operation whose command succeeded. @returns false if the result completes no operation */
const complete = async (
  deps: HostMessageDependencies,
  record: CommandRecord,
  result: CommandResult,
): Promise<boolean> => {
  const { tenant, operationId, command, taskToken } = record;
  if (operationId === null || !completesOperation(record, result)) return false;
  const input = { tenant, operationId, containerId: command.containerId, epoch: command.epoch };
  const done = await completeOperation(deps, input, { token: taskToken, command: { ...record, result } });
  return done === 'completed';
};

const endOwnCommand = async (
  deps: HostMessageDependencies,
  connection: Connection,
  { command }: CommandRecord,
  result: CommandResult,
): Promise<void> => {
  if (isNetworkCommand(command)) {
    const { containerId, arguments: given } = command;
    await settleNetworkPolicy(deps, connection, { containerId, revision: given.revision }, result);
    // The next heartbeat requests an inventory, and its handler sends the policy again.
    if (result.status === 'failed') await noteOnLink(deps.table, connection, { recheck: true });
  }
  await deleteCommand(deps.table, connection.tenant, command);
  if (result.observed !== null && result.observed.containerId === command.containerId)
    await takeReports(deps, connection, [result.observed]);
};

/** Stores a result that completes no operation, and answers the workflow step. */
const store = async (
  deps: HostMessageDependencies,
  connection: Connection,
  result: CommandResult,
): Promise<void> => {
  const { tenant, hostId } = connection;
  const answered = await storeResult(deps.table, tenant, hostId, result);
  if (answered.kind === 'unknown') {
    deps.logger.info('result of an unknown command', { tenant, hostId, commandId: result.commandId });
    if (result.observed !== null) await takeReports(deps, connection, [result.observed]);
  } else {
    const { record } = answered;
    if (record.result !== null && (await complete(deps, record, record.result))) return;
    const told = await answerStep(deps, record);
    if (record.taskToken !== null && told === 'settled')
      deps.logger.info('nothing waits for the result', { tenant, hostId, commandId: result.commandId });
    if (isOwnCommand(record.command)) await endOwnCommand(deps, connection, record, result);
  }
};

/**
 * Handles the result of a command, then acknowledges it. A success ends the command's operation. Any other result is
 * stored and answers the workflow step. A duplicate does the same again, because the first invocation may have crashed in
 * between. A result that nothing waits for is acknowledged too, so that the host stops sending it; its observation of a
 * container still counts as a report.
 */
export const takeResult = async (
  deps: HostMessageDependencies,
  connection: Connection,
  { messageId, result }: z.infer<typeof ResultSchema>,
): Promise<void> => {
  const { tenant, hostId, connectionId } = connection;
  const pending = await findCommand(deps.table, tenant, hostId, result.commandId);
  const done = pending?.state === 'pending' && (await complete(deps, pending, result));
  if (!done) await store(deps, connection, result);
  await deps.push(connectionId, { action: 'ack', messageId });
};
