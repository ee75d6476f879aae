import { getLink } from '../../store/links.ts';
import type { CommandRecord } from '../../store/records.ts';
import type { Table } from '../../store/table.ts';
import type { Logger } from '../shared/logger.ts';
import { type Push, pushCommand } from '../shared/push.ts';

/** Wakes the host of a command that is in the table. A host that is away is told when it is heard of next. */
export const tellHost = async (
  { table, push }: { readonly table: Table; readonly push: Push },
  record: CommandRecord,
  logger: Logger,
): Promise<void> => {
  const { tenant, command } = record;
  const link = await getLink(table, tenant, command.hostId);
  const pushed =
    link === undefined || link.connectionId === null
      ? 'gone'
      : await pushCommand(push, link.connectionId, record);
  if (pushed !== 'sent') logger.info('host is told later of a network policy', { hostId: command.hostId });
};
