import type { Command, CommandArguments } from '../../core/contract/agent/commands.ts';
import { type ContainerSpec, DEFAULT_STOP_SECONDS } from '../../core/contract/container.ts';
import { CORRECTION_SECONDS } from '../../core/contract/deployment.ts';
import { deleteCommand, findCommand, giveCommand } from '../../store/commands.ts';
import type { Connection } from '../../store/host-links.ts';
import { networkCommand } from '../../workflow/network/network-policy.ts';
import { pushCommand } from '../shared/hosts/push.ts';
import type { HostMessageDependencies } from './dependencies.ts';

/** Commands that the control plane issues without an operation, to correct a host's state. */
const PREFIXES = { removeContainer: 'orphan', stopContainer: 'stray', setNetworkPolicy: 'network' } as const;

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
      ttlSeconds: CORRECTION_SECONDS,
      arguments: given,
    },
    state: 'pending',
    taskToken: null,
    operationId: null,
    step: null,
    result: null,
    expiresAt: deps.now().getTime() + CORRECTION_SECONDS * 1000,
  });
  deps.logger.warn('correcting a host', { tenant, hostId, containerId, verb: given.verb });
  if (record.state === 'pending') await pushCommand(deps.push, connectionId, record);
};

type Subject = { readonly containerId: string; readonly epoch: number };

/** Removes an orphan from a host. */
export const removeOrphan = (
  deps: HostMessageDependencies,
  connection: Connection,
  subject: Subject,
): Promise<void> => give(deps, connection, subject, { verb: 'removeContainer' });

/** Stops a container that runs without a reservation. */
export const stopStray = (
  deps: HostMessageDependencies,
  connection: Connection,
  subject: Subject,
): Promise<void> =>
  give(deps, connection, subject, { verb: 'stopContainer', timeoutSeconds: DEFAULT_STOP_SECONDS });

/**
 * Sends a policy again that the host has not confirmed, except if it was just sent with the pending commands. An expired
 * or failed command gets another id, because the host answers a known id from its journal.
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
