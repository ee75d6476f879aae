import type { AssignedContainer } from '../../core/contract/agent/commands.ts';
import type { ResolvedNetworkPolicy } from '../../core/contract/network.ts';
import type { Runtime } from '../runtimes/runtime.ts';
import { withVerbs } from '../runtimes/with-verbs.ts';
import type { AgentState, ContainerRecord } from '../state/agent-state.ts';

/** A network policy and its revision, which orders the policies of a container. */
interface PolicyRevision {
  readonly policy: ResolvedNetworkPolicy;
  readonly revision: number;
}

const policyOf = ({ spec }: AssignedContainer): PolicyRevision => ({
  policy: spec.network,
  revision: spec.networkRevision,
});

/** The newest of the policy that was set, the one in the journal, and the one of a command. */
const newestOf = (
  record: ContainerRecord | null,
  container: AssignedContainer | null,
): PolicyRevision | null => {
  const known = [container, record?.container ?? null].flatMap((one) =>
    one === null ? [] : [policyOf(one)],
  );
  return [...known, ...(record?.network ? [record.network] : [])].reduce<PolicyRevision | null>(
    (newest, one) => (newest === null || one.revision > newest.revision ? one : newest),
    null,
  );
};

type PolicyState = Pick<AgentState, 'container' | 'update'>;

/**
 * Stores a policy if it is newer than every known one of the container, and applies the newest. It is journaled before it is
 * applied: an agent that crashes in between applies it after its restart.
 */
export const setNetworkPolicy = async (
  { state, runtime }: { readonly state: PolicyState; readonly runtime: Pick<Runtime, 'setNetworkPolicy'> },
  containerId: string,
  given: PolicyRevision,
): Promise<void> => {
  const known = newestOf(state.container(containerId), null);
  if (known === null || given.revision > known.revision) state.update(containerId, { network: given });
  const newest = newestOf(state.container(containerId), null) ?? given;
  await runtime.setNetworkPolicy(containerId, newest.policy);
};

/**
 * Wraps the runtime so that every network endpoint is created with the newest policy in the journal. A command or restart
 * only has the policy that was current when it was issued. A policy that is set while an endpoint is being created finds no
 * endpoint to change, and the agent may crash before it applies the policy afterwards. So the policy is applied again
 * before a main process starts.
 */
export const withNewestPolicy = (runtime: Runtime, state: Pick<AgentState, 'container'>): Runtime => {
  const newest = (container: AssignedContainer) =>
    newestOf(state.container(container.id), container) ?? policyOf(container);
  const verbs: Pick<Runtime, 'createNetworkEndpoint' | 'startProcess'> = {
    createNetworkEndpoint: (container, signal) => {
      const { policy: network, revision: networkRevision } = newest(container);
      const spec = { ...container.spec, network, networkRevision };
      return runtime.createNetworkEndpoint({ ...container, spec }, signal);
    },
    startProcess: async (container, instanceId, signal) => {
      const { id } = container;
      if (state.container(id)?.network) await runtime.setNetworkPolicy(id, newest(container).policy);
      await runtime.startProcess(container, instanceId, signal);
    },
  };
  return withVerbs(runtime, verbs);
};
