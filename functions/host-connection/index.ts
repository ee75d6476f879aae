import { createConnectionsClient } from '../shared/clients.ts';
import { readEnvironment } from '../shared/environment.ts';
import { createCloseConnection } from '../shared/hosts/close-connection.ts';
import { createPush } from '../shared/hosts/push.ts';
import { createInternalDependencies } from '../shared/internal.ts';
import { createHostConnectionHandler } from './handler.ts';

const connections = createConnectionsClient(readEnvironment(['webSocketUrl']).webSocketUrl);

export const handler = createHostConnectionHandler({
  ...createInternalDependencies('host-connection'),
  close: createCloseConnection(connections),
  push: createPush(connections),
});
