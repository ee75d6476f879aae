import { createConnectionsClient, createStepFunctionsClient } from '../shared/clients.ts';
import { readEnvironment } from '../shared/environment.ts';
import { HTTP_ENVIRONMENT, wireHttp } from '../shared/http/wire.ts';
import { createPush } from '../shared/push.ts';
import { createStartWorkflow } from '../shared/start-workflow.ts';
import { wireCommandSigning } from '../shared/wire-secrets.ts';
import { createHandler } from './handler.ts';

const environment = readEnvironment([...HTTP_ENVIRONMENT, 'stateMachines', 'webSocketUrl']);

export const handler = createHandler({
  ...wireHttp(environment),
  ...wireCommandSigning(),
  startWorkflow: createStartWorkflow(createStepFunctionsClient(), environment.stateMachines),
  push: createPush(createConnectionsClient(environment.webSocketUrl)),
});
