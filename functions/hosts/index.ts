import { createConnectionsClient } from '../shared/clients.ts';
import { readEnvironment } from '../shared/environment.ts';
import { createCloseConnection } from '../shared/hosts/close-connection.ts';
import { HTTP_ENVIRONMENT, wireHttp } from '../shared/http/wire.ts';
import { createHandler } from './handler.ts';

const environment = readEnvironment([...HTTP_ENVIRONMENT, 'webSocketUrl', 'leaseSeconds']);

export const handler = createHandler({
  ...wireHttp(environment),
  closeConnection: createCloseConnection(createConnectionsClient(environment.webSocketUrl)),
  leaseSeconds: environment.leaseSeconds,
});
