/** The agent's version, which is reported at each connection. */
export const AGENT_VERSION = '0.1.0';
