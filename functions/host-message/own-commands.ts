import type { Command, CommandArguments } from '../../core/contract/agent/commands.ts';
import type { ContainerSpec } from '../../core/contract/container.ts';
import { deleteCommand, findCommand, giveCommand } from '../../store/commands.ts';
import type { Connection } from '../../store/links.ts';
import { networkCommand } from '../../workflow/network/network-policy.ts';
import { pushCommand } from '../shared/hosts/push.ts';
import type { HostMessageDependencies } from './dependencies.ts';

/** Commands that the control plane gives by itself, to bring a host to what is assigned to it. */
const PREFIXES = { removeContainer: 'orphan', stopContainer: 'stray', setNetworkPolicy: 'network' } as const;
const TTL_SECONDS = 15 * 60;
const STOP_SECONDS = 10;

export const isOwnCommand = ({ id }: Command): boolean =>
  Object.values(PREFIXES).some((prefix) => id.startsWith(`${prefix}:`));

const give = async (
  deps: HostMessageDependencies,
  { tenant, hostId, connectionId }: Connection,
  { containerId, epoch }: { readonly containerId: string; readonly epoch: number },
  given: Extract<CommandArguments, { verb: 'removeContainer' | 'stopContainer' }>,
): Promise<void> => {
  const record = await giveCommand(deps.table, deps.sign, {
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
  if (record.state === 'pending') await pushCommand(deps.push, connectionId, record);
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

/**
 * Gives a policy that the host has not confirmed, unless it has been told of it a moment ago with everything that it has
 * not answered. A command that has expired or failed is given under another id, because a host answers one that it has
 * answered before from its journal.
 */
export const giveNetworkPolicy = async (
  deps: HostMessageDependencies,
  { tenant, hostId, connectionId }: Connection,
  { id, spec }: { readonly id: string; readonly spec: ContainerSpec },
): Promise<void> => {
  const now = deps.now();
  const wanted = networkCommand({ tenant, id, view: { spec, hostId } }, now);
  if (wanted === null) return;
  const known = await findCommand(deps.table, tenant, hostId, wanted.command.id);
  if (known?.state === 'pending' && known.expiresAt > now.getTime()) return;
  if (known !== undefined) await deleteCommand(deps.table, tenant, known.command);
  const again = { ...wanted.command, id: `${wanted.command.id}:${deps.newId()}` };
  const given = await giveCommand(deps.table, deps.sign, { ...wanted, command: again });
  await pushCommand(deps.push, connectionId, given);
};
