import { createConnectionsClient, createStepFunctionsClient } from '../shared/clients.ts';
import { readEnvironment } from '../shared/environment.ts';
import { createPush } from '../shared/hosts/push.ts';
import { HTTP_ENVIRONMENT, wireHttp } from '../shared/http/wire.ts';
import { wireCommandSigning } from '../shared/secrets/wire-secrets.ts';
import { createStartWorkflow } from '../shared/steps/start-workflow.ts';
import { createTasks } from '../shared/steps/step-functions-tasks.ts';
import { createHandler } from './handler.ts';

const environment = readEnvironment([...HTTP_ENVIRONMENT, 'stateMachines', 'webSocketUrl', 'leaseSeconds']);
const stepFunctions = createStepFunctionsClient();

export const handler = createHandler({
  ...wireHttp(environment),
  ...wireCommandSigning(),
  push: createPush(createConnectionsClient(environment.webSocketUrl)),
  startWorkflow: createStartWorkflow(stepFunctions, environment.stateMachines),
  tasks: createTasks(stepFunctions),
  leaseSeconds: environment.leaseSeconds,
});
