import { giveCommand, type SignCommand } from '../../store/commands.ts';
import type { HeldImage } from '../../store/images.ts';
import type { UnsignedCommand } from '../../store/records.ts';
import type { Table } from '../../store/table.ts';
import type { Logger } from '../../workflow/logger.ts';
import type { Dependencies } from '../shared/dependencies.ts';
import type { Push } from '../shared/hosts/push.ts';
import { wakeHost } from '../shared/hosts/wake-host.ts';

export interface TellHostsDependencies extends Pick<Dependencies, 'now' | 'newId'> {
  readonly table: Table;
  readonly push: Push;
  readonly sign: SignCommand;
}

/** How long a host that is away may be, and still be told to delete its copy, in seconds. */
const COMMAND_SECONDS = 24 * 3600;

/**
 * Has each host that holds an image delete its copy. The image is out of the catalogue already; a host that isn't
 * told, or cannot do it, says at its next connection that it holds the image, which is then catalogued again.
 */
export const tellHosts = async (
  { table, push, sign, now, newId }: TellHostsDependencies,
  { image, hosts }: HeldImage,
  logger: Logger,
): Promise<void> => {
  const { tenant } = image;
  for (const { hostId } of hosts) {
    const removal: UnsignedCommand = {
      tenant,
      command: {
        id: newId(),
        hostId,
        containerId: null,
        epoch: 0,
        ttlSeconds: COMMAND_SECONDS,
        arguments: { verb: 'removeImage', name: image.view.name },
      },
      state: 'pending',
      taskToken: null,
      operationId: null,
      step: null,
      result: null,
      expiresAt: now().getTime() + COMMAND_SECONDS * 1000,
    };
    const record = await giveCommand(table, sign, removal);
    await wakeHost({ table, push, logger }, record);
  }
};
