import type { HostState } from '../contract/host.ts';

/**
 * The states of a host as data. `Unknown`: silent for longer than its lease; what runs there goes on.
 * `Lost`: an operator has said that it will not come back.
 */
export const HOST_TRANSITIONS: Readonly<Record<HostState, readonly HostState[]>> = {
  Ready: ['Draining', 'Unknown', 'Lost'],
  Draining: ['Ready', 'Unknown', 'Lost'],
  Unknown: ['Ready', 'Draining', 'Lost'],
  Lost: [],
};

/** Whether a host may go from one state to another. A lost host stays lost. */
export const canTransitionHost = (from: HostState, to: HostState): boolean =>
  from === to || HOST_TRANSITIONS[from].includes(to);

/** State of a host that is heard of, from what its operator wants. */
export const stateWhenHeard = (schedulable: boolean): HostState => (schedulable ? 'Ready' : 'Draining');
