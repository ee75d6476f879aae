import { type CommandRecord, deleteCommand, listOpenCommands } from '../../store/commands.ts';
import type { Connection } from '../../store/host-links.ts';
import { answerStep, isDirect, reportFailure } from '../../workflow/operation/answer-task.ts';
import { isCancelled, isCurrent, readCurrentOperation } from '../../workflow/operation/current-operation.ts';
import { CANCELLED } from '../../workflow/operation/fail-step.ts';
import { pushCommand } from '../shared/hosts/push.ts';
import type { HostMessageDependencies } from './dependencies.ts';

/** As Step Functions names it. An execution ends the step of an expired command by itself. */
const EXPIRED = { error: 'States.Timeout', cause: '' };

/**
 * What to do with a command that its host is not executing. The command of an ended operation is a leftover: sending it
 * would start something that is no longer requested. The command of a cancelled one must not begin.
 */
const decide = async (
  { table }: HostMessageDependencies,
  { tenant, command, operationId, step }: CommandRecord,
): Promise<'send' | 'cancel' | 'delete'> => {
  if (operationId === null) return 'send';
  const input = { tenant, operationId, containerId: command.containerId, epoch: command.epoch };
  const found = await readCurrentOperation(table, input);
  if (found === undefined || !isCurrent(found, input)) return 'delete';
  return isCancelled(found, step) ? 'cancel' : 'send';
};

/**
 * Sends a host the commands that it has not answered, and processes failures whose processing was interrupted.
 *
 * @param inProgress ids of commands that it is executing: their tasks get a heartbeat instead
 */
export const sendOutstanding = async (
  deps: HostMessageDependencies,
  { tenant, hostId, connectionId }: Connection,
  inProgress: ReadonlySet<string>,
): Promise<void> => {
  const open = await listOpenCommands(deps.table, tenant, hostId);
  const now = deps.now().getTime();
  await Promise.all(
    open.map(async (record) => {
      if (record.state === 'answered') {
        await answerStep(deps, record);
        return;
      }
      if (record.expiresAt <= now) {
        if (isDirect(record)) await reportFailure(deps, record, EXPIRED);
        return;
      }
      if (inProgress.has(record.command.id)) {
        if (record.taskToken !== null) await deps.tasks.heartbeat(record.taskToken);
        return;
      }
      const decision = await decide(deps, record);
      if (decision === 'send') await pushCommand(deps.push, connectionId, record);
      else if (decision === 'delete') await deleteCommand(deps.table, tenant, record.command);
      else await reportFailure(deps, record, CANCELLED);
    }),
  );
};
