import { type CommandRecord, deleteCommand, listPendingCommands } from '../../store/commands.ts';
import type { Connection } from '../../store/host-links.ts';
import { isCurrent, readCurrentOperation } from '../../workflow/operation/current-operation.ts';
import { pushCommand } from '../shared/hosts/push.ts';
import type { HostMessageDependencies } from './dependencies.ts';

/**
 * Whether a command must still be executed. The command of an ended operation is a leftover: sending it would start
 * something that is no longer requested.
 */
const isWanted = async (
  { table }: HostMessageDependencies,
  { tenant, command, operationId }: CommandRecord,
): Promise<boolean> => {
  if (operationId === null) return true;
  const input = { tenant, operationId, containerId: command.containerId, epoch: command.epoch };
  const found = await readCurrentOperation(table, input);
  return found !== undefined && isCurrent(found, input);
};

/**
 * Sends a host the commands that it has not answered.
 *
 * @param inProgress ids of commands that it is executing: their tasks get a heartbeat instead
 */
export const sendOutstanding = async (
  deps: HostMessageDependencies,
  { tenant, hostId, connectionId }: Connection,
  inProgress: ReadonlySet<string>,
): Promise<void> => {
  const pending = await listPendingCommands(deps.table, tenant, hostId, deps.now());
  await Promise.all(
    pending.map(async (record) => {
      if (inProgress.has(record.command.id)) {
        if (record.taskToken !== null) await deps.tasks.heartbeat(record.taskToken);
      } else if (await isWanted(deps, record)) {
        await pushCommand(deps.push, connectionId, record);
      } else await deleteCommand(deps.table, tenant, record.command);
    }),
  );
};
