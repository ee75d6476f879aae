import { giveCommand, type SignCommand, type UnsignedCommand } from '../../store/commands.ts';
import type { HeldImage } from '../../store/images.ts';
import type { Table } from '../../store/table.ts';
import type { Logger } from '../../workflow/logger.ts';
import type { Dependencies } from '../shared/dependencies.ts';
import type { Push } from '../shared/hosts/push.ts';
import { wakeHost } from '../shared/hosts/wake-host.ts';

interface TellHostsDependencies extends Pick<Dependencies, 'now' | 'newId'> {
  readonly table: Table;
  readonly push: Push;
  readonly sign: SignCommand;
}

/** How long the deletion stays queued for a disconnected host, in seconds. */
const COMMAND_SECONDS = 24 * 3600;

/**
 * Makes each host that holds an image delete its copy. The catalogue no longer has the image. A host that does not delete
 * its copy reports the image at its next connection, and the image is catalogued again.
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
