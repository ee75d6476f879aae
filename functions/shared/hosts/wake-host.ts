import type { CommandRecord } from '../../../store/commands.ts';
import { getLink } from '../../../store/host-links.ts';
import type { Table } from '../../../store/table.ts';
import type { Logger } from '../../../workflow/logger.ts';
import { type Push, pushCommand } from './push.ts';

/**
 * Pushes a command that is in the table to its host. If the push does not arrive, the host gets the command when it
 * connects or at its next heartbeat.
 */
export const wakeHost = async (
  { table, push, logger }: { readonly table: Table; readonly push: Push; readonly logger: Logger },
  record: CommandRecord,
): Promise<void> => {
  const { hostId, id, arguments: given } = record.command;
  const link = await getLink(table, record.tenant, hostId);
  const sent =
    link === undefined || link.connectionId === null
      ? 'gone'
      : await pushCommand(push, link.connectionId, record);
  if (sent !== 'sent')
    logger.info('could not push a command', { hostId, commandId: id, verb: given.verb, push: sent });
};
