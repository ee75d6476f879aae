import { createConnectionsClient } from '../shared/clients.ts';
import { createCloseConnection } from '../shared/close-connection.ts';
import { readEnvironment } from '../shared/environment.ts';
import { createInternalDependencies } from '../shared/internal.ts';
import { createPush } from '../shared/push.ts';
import { createHostConnectionHandler } from './handler.ts';

const connections = createConnectionsClient(readEnvironment(['webSocketUrl']).webSocketUrl);

export const handler = createHostConnectionHandler({
  ...createInternalDependencies('host-connection'),
  close: createCloseConnection(connections),
  push: createPush(connections),
});
