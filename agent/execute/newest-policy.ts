import type { AssignedContainer } from '../../core/contract/agent/commands.ts';
import type { ResolvedNetworkPolicy } from '../../core/contract/network.ts';
import type { Runtime } from '../runtimes/runtime.ts';
import type { AgentState, ContainerRecord } from '../state/agent-state.ts';

/** A network policy and the number that orders it among the policies of its container. */
interface PolicyRevision {
  readonly policy: ResolvedNetworkPolicy;
  readonly revision: number;
}

const policyOf = ({ spec }: AssignedContainer): PolicyRevision => ({
  policy: spec.network,
  revision: spec.networkRevision,
});

/** Of what was set, what the journal has with the container, and what a command brought: the newest. */
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
 * Keeps a policy, if it is newer than every other that is known of the container, and puts the newest in force. It is
 * in the journal before it is in force: an agent that dies in between puts it in force when it is back.
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
 * The runtime, with every network endpoint made under the newest policy that the journal has: commands and restarts
 * carry the policy of the time when they were given. A policy that is set while an endpoint is being made finds none to
 * change, and an agent may die before it is put in force afterwards. So a policy that was set is put in force once more
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
  return new Proxy(runtime, {
    get: (target, name) => {
      const member: unknown = Reflect.get(Object.hasOwn(verbs, name) ? verbs : target, name);
      return typeof member === 'function' ? member.bind(target) : member;
    },
  });
};
