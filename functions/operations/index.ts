import { createStepFunctionsClient } from '../shared/clients.ts';
import { readEnvironment } from '../shared/environment.ts';
import { HTTP_ENVIRONMENT, wireHttp } from '../shared/http/wire.ts';
import { createTasks } from '../shared/steps/step-functions-tasks.ts';
import { createHandler } from './handler.ts';

export const handler = createHandler({
  ...wireHttp(readEnvironment(HTTP_ENVIRONMENT)),
  tasks: createTasks(createStepFunctionsClient()),
});
