import type { Command, CommandArguments, CommandResult } from '../../core/contract/agent/commands.ts';
import { addCommand, dropCommand } from '../../store/commands.ts';
import { keys } from '../../store/keys.ts';
import { parseContainer } from '../../store/parse.ts';
import type { CommandRecord, ContainerRecord, UnsignedCommand } from '../../store/records.ts';
import { retryOnConflict } from '../../store/retry-on-conflict.ts';
import type { Write } from '../../store/table.ts';
import { replaceContainer } from '../../store/writes.ts';
import type { WorkflowDependencies } from '../dependencies.ts';
import { nextContainer, type Stamp } from '../operation/next-records.ts';

/**
 * A network policy on its way to its host.
 *
 * Lifecycle: set (the container has the policy, its revision and `networkPending`; the command is in the same
 * transaction) → told (by a push, else at the host's next heartbeat) → confirmed (`networkPending` goes).
 * - A command is good for {@link TTL_SECONDS}. `networkPending` on the container outlasts it: a host that was away
 *   longer, or that failed, is given the command again when it sends its inventory.
 * - A newer policy takes the command of the older one away. An older one that is under way changes nothing on the host,
 *   which orders policies by revision, and nothing here, because only the newest revision is confirmed.
 */
const TTL_SECONDS = 15 * 60;

export type SetNetworkPolicy = Extract<CommandArguments, { verb: 'setNetworkPolicy' }>;
type Subject = Pick<ContainerRecord, 'tenant' | 'id'> & {
  readonly view: Pick<ContainerRecord['view'], 'spec' | 'hostId'>;
};

/** The command for a container's policy: the same id however often it is given. Null without a host to tell. */
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
      // Ordered by its revision, so it waits for no epoch and raises none.
      epoch: 0,
      ttlSeconds: TTL_SECONDS,
      arguments: { verb: 'setNetworkPolicy', network, revision },
    },
    state: 'pending',
    taskToken: null,
    operationId: null,
    step: null,
    result: null,
    expiresAt: now.getTime() + TTL_SECONDS * 1000,
  };
};

/** The writes, beside the container's own, that tell a host of a policy that has changed. */
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

/** Whether a container's error is one that a policy left, which goes when the policy is in force. */
const isOfPolicy = ({ lastError }: ContainerRecord['view']): boolean =>
  lastError?.context?.networkRevision !== undefined;

/** Takes in what became of a policy on its host: in force, or why not. Of an older policy it changes nothing. */
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
      suggestion: suggestion ?? 'It is tried again within a minute or two. Set it again to try now.',
      context: { hostId, networkRevision: revision },
    });
    if (before.view.lastError?.context?.networkRevision === revision) return;
    await table.transact([replaceContainer(before, nextContainer(before, { view: { lastError } }, stamp))]);
  });
