import type { Connections } from './connections.ts';

/** Closes a connection of the agents' WebSocket; that it is closed already, or can't be reached, is no matter. */
export type CloseConnection = (connectionId: string) => Promise<void>;

export const createCloseConnection =
  (connections: Connections): CloseConnection =>
  async (connectionId) => {
    try {
      await connections.close(connectionId);
    } catch {
      // What is left of it carries no weight: the link names the newer connection, and silence ends this one.
    }
  };
