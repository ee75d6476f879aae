import { deleteCommand, listPendingCommands } from '../../store/commands.ts';
import type { Connection } from '../../store/links.ts';
import type { CommandRecord } from '../../store/records.ts';
import { isCurrent, readCurrentOperation } from '../../workflow/operation/current-operation.ts';
import { pushCommand } from '../shared/hosts/push.ts';
import type { HostMessageDependencies } from './dependencies.ts';

/**
 * Whether a command is still to be carried out. One whose operation has ended was left behind by whoever ended it: a
 * host that is told it now would start what nobody wants.
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
 * Tells a host the commands that it hasn't answered.
 *
 * @param inProgress ids of those that it is working on: their tasks are kept alive instead
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
