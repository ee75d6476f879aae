import { createConnectionsClient, createStepFunctionsClient } from '../shared/clients.ts';
import { readEnvironment } from '../shared/environment.ts';
import { createCloseConnection } from '../shared/hosts/close-connection.ts';
import { createPush } from '../shared/hosts/push.ts';
import { createInternalDependencies } from '../shared/internal.ts';
import { wireCommandSigning } from '../shared/secrets/wire-secrets.ts';
import { createTasks } from '../shared/steps/step-functions-tasks.ts';
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
