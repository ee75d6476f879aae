import { createConnectionsClient, createStepFunctionsClient } from '../shared/clients.ts';
import { createCloseConnection } from '../shared/close-connection.ts';
import { readEnvironment } from '../shared/environment.ts';
import { createInternalDependencies } from '../shared/internal.ts';
import { createPush } from '../shared/push.ts';
import { createTasks } from '../shared/tasks.ts';
import { wireCommandSigning } from '../shared/wire-secrets.ts';
import { createHostMessageHandler } from './handler.ts';

const { webSocketUrl, heartbeatSeconds, leaseSeconds } = readEnvironment([
  'webSocketUrl',
  'heartbeatSeconds',
  'leaseSeconds',
]);
const connections = createConnectionsClient(webSocketUrl);

export const handler = createHostMessageHandler({
  ...createInternalDependencies('host-message'),
  ...wireCommandSigning(),
  tasks: createTasks(createStepFunctionsClient()),
  push: createPush(connections),
  close: createCloseConnection(connections),
  heartbeatSeconds,
  leaseSeconds,
});
