import { DynamoDBClient, ListTablesCommand } from '@aws-sdk/client-dynamodb';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import { createConnections } from '../../functions/shared/hosts/connections.ts';
import { createTable, type Table } from '../../store/table.ts';
import type { LocalCloud } from './local-cloud.ts';

const sleep = async () => undefined;

/** The table of a running local cloud, for a test of something that only the administrator can do. */
export const localTable = async ({ endpoints, credentials, region }: LocalCloud): Promise<Table> => {
  const client = new DynamoDBClient({ region, endpoint: endpoints.dynamodb, credentials });
  const { TableNames: [tableName = ''] = [] } = await client.send(new ListTablesCommand({}));
  return createTable({ client, tableName, sleep, random: Math.random });
};

/** Closes a connection of the agents' WebSocket API through its management endpoint. @returns the status */
export const closeConnection = (
  { webSocketUrl, credentials, region }: LocalCloud,
  connectionId: string,
): Promise<number> =>
  createConnections({
    endpoint: webSocketUrl.replace(/^ws/, 'http'),
    region,
    credentials,
    requestHandler: new NodeHttpHandler(),
    sleep,
    random: Math.random,
  }).close(connectionId);
