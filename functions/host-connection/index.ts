import { createConnectionsClient } from '../shared/clients.ts';
import { createCloseConnection } from '../shared/close-connection.ts';
import { readEnvironment } from '../shared/environment.ts';
import { createInternalDependencies } from '../shared/internal.ts';
import { createHostConnectionHandler } from './handler.ts';

export const handler = createHostConnectionHandler({
  ...createInternalDependencies('host-connection'),
  close: createCloseConnection(createConnectionsClient(readEnvironment(['webSocketUrl']).webSocketUrl)),
});
