import type { Command, CommandArguments, CommandResult } from '../../core/contract/agent/commands.ts';
import { CORRECTION_SECONDS } from '../../core/contract/deployment.ts';
import { addCommand, type CommandRecord, dropCommand, type UnsignedCommand } from '../../store/commands.ts';
import { type ContainerRecord, parseContainer, replaceContainer } from '../../store/containers.ts';
import { keys } from '../../store/keys.ts';
import { retryOnConflict } from '../../store/retry-on-conflict.ts';
import type { Write } from '../../store/table.ts';
import type { WorkflowDependencies } from '../dependencies.ts';
import { nextContainer, type Stamp } from '../operation/next-records.ts';

/**
 * Delivery of a network policy to its host.
 *
 * Lifecycle: set (the container has the policy, its revision and `networkPending`; the command is in the same
 * transaction) → sent (pushed, or sent at the host's next heartbeat) → confirmed (`networkPending` is cleared).
 * - A command expires after {@link CORRECTION_SECONDS}. `networkPending` on the container does not expire: a host that was
 *   disconnected for longer, or that failed, gets the command again when it sends its inventory.
 * - A newer policy removes the command of the older one. An older command that is already on its way has no effect: the
 *   host orders policies by revision, and only the newest revision is confirmed here.
 */

type SetNetworkPolicy = Extract<CommandArguments, { verb: 'setNetworkPolicy' }>;
type Subject = Pick<ContainerRecord, 'tenant' | 'id'> & {
  readonly view: Pick<ContainerRecord['view'], 'spec' | 'hostId'>;
};

/** The command that sets a container's policy. Its id depends on the revision only. Null for a container without a host. */
export const networkCommand = ({ tenant, id, view }: Subject, now: Date): UnsignedCommand | null => {
  const { hostId, spec } = view;
  if (hostId === null) return null;
  const { network, networkRevision: revision } = spec;
  return {
    tenant,
    command: {
      id: `network:${id}:${revision}`,
      hostId,
      containerId: id,
      // Policies are ordered by revision, so the command neither checks nor raises the epoch.
      epoch: 0,
      ttlSeconds: CORRECTION_SECONDS,
      arguments: { verb: 'setNetworkPolicy', network, revision },
    },
    state: 'pending',
    taskToken: null,
    operationId: null,
    step: null,
    result: null,
    expiresAt: now.getTime() + CORRECTION_SECONDS * 1000,
  };
};

/** The writes, besides the container's own, that queue a changed policy for the host. */
export const networkWrites = (
  before: ContainerRecord,
  command: CommandRecord | null,
  now: Date,
): readonly Write[] => {
  const older = before.view.networkPending ? networkCommand(before, now) : null;
  return [
    ...(older === null ? [] : [dropCommand(older)]),
    ...(command === null ? [] : [addCommand(command)]),
  ];
};

export const isNetworkCommand = (
  command: Command,
): command is Command & { readonly containerId: string; readonly arguments: SetNetworkPolicy } =>
  command.containerId !== null && command.arguments.verb === 'setNetworkPolicy';

/** Whether the container's error comes from a network policy. It is cleared when the policy is in force. */
const isOfPolicy = ({ lastError }: ContainerRecord['view']): boolean =>
  lastError?.context?.networkRevision !== undefined;

/** Records the host's result for a policy: in force, or the reason why not. The result of an older policy is ignored. */
export const settleNetworkPolicy = (
  { table, now, problem }: WorkflowDependencies,
  { tenant, hostId }: { readonly tenant: string; readonly hostId: string },
  { containerId, revision }: { readonly containerId: string; readonly revision: number },
  result: CommandResult,
): Promise<void> =>
  retryOnConflict(async () => {
    const item = await table.get(keys.container(tenant, containerId), { consistent: true });
    const before = item && parseContainer(item);
    if (before?.view.hostId !== hostId || !before.view.networkPending) return;
    if (before.view.spec.networkRevision !== revision) return;
    const stamp: Stamp = { at: now().toISOString(), actor: `host:${hostId}` };
    if (result.status === 'succeeded') {
      const view = { networkPending: false, ...(isOfPolicy(before.view) && { lastError: null }) };
      await table.transact([replaceContainer(before, nextContainer(before, { view }, stamp))]);
      return;
    }
    const { code, message, suggestion } = result.error;
    const lastError = problem(code, `The network policy is not in force: ${message}`, {
      suggestion: suggestion ?? 'Bulkhead tries again within two minutes. Set the policy again to try now.',
      context: { hostId, networkRevision: revision },
    });
    if (before.view.lastError?.context?.networkRevision === revision) return;
    await table.transact([replaceContainer(before, nextContainer(before, { view: { lastError } }, stamp))]);
  });
