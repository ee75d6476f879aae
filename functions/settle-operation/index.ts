import { createConnectionsClient } from '../shared/clients.ts';
import { readEnvironment } from '../shared/environment.ts';
import { createPush } from '../shared/hosts/push.ts';
import { createInternalDependencies } from '../shared/internal.ts';
import { createSettleOperationHandler } from './handler.ts';

export const handler = createSettleOperationHandler({
  ...createInternalDependencies('settle-operation'),
  push: createPush(createConnectionsClient(readEnvironment(['webSocketUrl']).webSocketUrl)),
});
