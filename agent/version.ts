/** Of the agent; reported at each connection. */
export const AGENT_VERSION = '0.1.0';
