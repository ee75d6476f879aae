import type { Connections } from './connections.ts';

/** Closes a connection of the agents' WebSocket API. Errors are ignored. */
export type CloseConnection = (connectionId: string) => Promise<void>;

export const createCloseConnection =
  (connections: Connections): CloseConnection =>
  async (connectionId) => {
    try {
      await connections.close(connectionId);
    } catch {
      // An open leftover is harmless: the link refers to the newer connection, and this one times out.
    }
  };
