import { DynamoDBClient, ListTablesCommand } from '@aws-sdk/client-dynamodb';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import { createConnections } from '../../functions/shared/connections.ts';
import { createTable, type Table } from '../../store/table.ts';
import type { LocalCloud } from './local-cloud.ts';

const region = 'us-east-1';
const CREDENTIALS = { accessKeyId: 'local', secretAccessKey: 'local' };
const sleep = async () => undefined;

/** The table of a running local cloud, for a test that does what only its administrator can do. */
export const localTable = async ({ endpoints }: LocalCloud): Promise<Table> => {
  const client = new DynamoDBClient({ region, endpoint: endpoints.dynamodb, credentials: CREDENTIALS });
  const { TableNames: [tableName = ''] = [] } = await client.send(new ListTablesCommand({}));
  return createTable({ client, tableName, sleep, random: Math.random });
};

/** Closes a connection of the agents' WebSocket, as API Gateway lets its owner do. @returns the status */
export const closeConnection = ({ webSocketUrl }: LocalCloud, connectionId: string): Promise<number> =>
  createConnections({
    endpoint: webSocketUrl.replace(/^ws/, 'http'),
    region,
    credentials: CREDENTIALS,
    requestHandler: new NodeHttpHandler(),
    sleep,
    random: Math.random,
  }).close(connectionId);
