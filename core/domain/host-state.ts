import type { HostState } from '../contract/host.ts';

/**
 * The state table of hosts. `Unknown`: the lease has expired; its containers keep running. `Lost`: an operator has declared
 * the host permanently lost.
 */
export const HOST_TRANSITIONS: Readonly<Record<HostState, readonly HostState[]>> = {
  Ready: ['Draining', 'Unknown', 'Lost'],
  Draining: ['Ready', 'Unknown', 'Lost'],
  Unknown: ['Ready', 'Draining', 'Lost'],
  Lost: [],
};

/** Whether a host can change from one state to another. A lost host stays lost. */
export const canTransitionHost = (from: HostState, to: HostState): boolean =>
  from === to || HOST_TRANSITIONS[from].includes(to);

/** The state of a connected host. Its operator decides whether it is schedulable. */
export const connectedHostState = (schedulable: boolean): HostState => (schedulable ? 'Ready' : 'Draining');
