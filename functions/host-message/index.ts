import { createConnectionsClient, createStepFunctionsClient } from '../shared/clients.ts';
import { readEnvironment } from '../shared/environment.ts';
import { createCloseConnection } from '../shared/hosts/close-connection.ts';
import { createPush } from '../shared/hosts/push.ts';
import { createInternalDependencies } from '../shared/internal.ts';
import { wireCommandSigning } from '../shared/secrets/wire-secrets.ts';
import { createStartFailure } from '../shared/steps/start-workflow.ts';
import { createTasks } from '../shared/steps/step-functions-tasks.ts';
import { createHostMessageHandler } from './handler.ts';

const { webSocketUrl, stateMachines, heartbeatSeconds, leaseSeconds } = readEnvironment([
  'stateMachines',
  'webSocketUrl',
  'heartbeatSeconds',
  'leaseSeconds',
]);
const stepFunctions = createStepFunctionsClient();
const connections = createConnectionsClient(webSocketUrl);

export const handler = createHostMessageHandler({
  ...createInternalDependencies('host-message'),
  ...wireCommandSigning(),
  tasks: createTasks(stepFunctions),
  startFailure: createStartFailure(stepFunctions, stateMachines),
  push: createPush(connections),
  close: createCloseConnection(connections),
  heartbeatSeconds,
  leaseSeconds,
});
