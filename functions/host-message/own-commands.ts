import type { Command, CommandArguments } from '../../core/contract/agent/commands.ts';
import { giveCommand } from '../../store/commands.ts';
import type { Connection } from '../../store/links.ts';
import type { HostMessageDependencies } from './dependencies.ts';

/** Commands that the control plane gives by itself, to bring a host to what is assigned to it. */
const PREFIXES = { removeContainer: 'orphan', stopContainer: 'stray' } as const;
const TTL_SECONDS = 15 * 60;
const STOP_SECONDS = 10;

export const isOwnCommand = ({ id }: Command): boolean =>
  Object.values(PREFIXES).some((prefix) => id.startsWith(`${prefix}:`));

const give = async (
  deps: HostMessageDependencies,
  { tenant, hostId, connectionId }: Connection,
  { containerId, epoch }: { readonly containerId: string; readonly epoch: number },
  given: Extract<CommandArguments, { verb: keyof typeof PREFIXES }>,
): Promise<void> => {
  const record = await giveCommand(deps.table, {
    tenant,
    command: {
      id: `${PREFIXES[given.verb]}:${containerId}:${epoch}`,
      hostId,
      containerId,
      epoch,
      ttlSeconds: TTL_SECONDS,
      arguments: given,
    },
    state: 'pending',
    taskToken: null,
    operationId: null,
    step: null,
    result: null,
    expiresAt: deps.now().getTime() + TTL_SECONDS * 1000,
  });
  deps.logger.warn('correcting a host', { tenant, hostId, containerId, verb: given.verb });
  if (record.state === 'pending')
    await deps.push(connectionId, { action: 'command', command: record.command });
};

type Subject = { readonly containerId: string; readonly epoch: number };

/** Removes a container from a host that it does not belong to. */
export const removeOrphan = (
  deps: HostMessageDependencies,
  connection: Connection,
  subject: Subject,
): Promise<void> => give(deps, connection, subject, { verb: 'removeContainer' });

/** Stops a container that runs without room held for it. */
export const stopStray = (
  deps: HostMessageDependencies,
  connection: Connection,
  subject: Subject,
): Promise<void> => give(deps, connection, subject, { verb: 'stopContainer', timeoutSeconds: STOP_SECONDS });
