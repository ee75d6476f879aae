import { createStepFunctionsClient } from '../shared/clients.ts';
import { readEnvironment } from '../shared/environment.ts';
import { HTTP_ENVIRONMENT, wireHttp } from '../shared/http/wire.ts';
import { createStartWorkflow } from '../shared/steps/start-workflow.ts';
import { createHandler } from './handler.ts';

const environment = readEnvironment([...HTTP_ENVIRONMENT, 'stateMachines']);

export const handler = createHandler({
  ...wireHttp(environment),
  startWorkflow: createStartWorkflow(createStepFunctionsClient(), environment.stateMachines),
});
