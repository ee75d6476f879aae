import {
  type ApiGatewayManagementApiClient,
  DeleteConnectionCommand,
} from '@aws-sdk/client-apigatewaymanagementapi';

/** Closes a connection of the agents' WebSocket; that it is closed already, or can't be reached, is no matter. */
export type CloseConnection = (connectionId: string) => Promise<void>;

export const createCloseConnection =
  (client: ApiGatewayManagementApiClient): CloseConnection =>
  async (connectionId) => {
    try {
      await client.send(new DeleteConnectionCommand({ ConnectionId: connectionId }));
    } catch {
      // What is left of it carries no weight: the link names the newer connection, and silence ends this one.
    }
  };
