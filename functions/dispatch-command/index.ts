import { createConnectionsClient, createStepFunctionsClient } from '../shared/clients.ts';
import { readEnvironment } from '../shared/environment.ts';
import { createPush } from '../shared/hosts/push.ts';
import { createInternalDependencies } from '../shared/internal.ts';
import { wireCommandSigning } from '../shared/secrets/wire-secrets.ts';
import { createTasks } from '../shared/steps/step-functions-tasks.ts';
import { createDispatchCommandHandler } from './handler.ts';

export const handler = createDispatchCommandHandler({
  ...createInternalDependencies('dispatch-command'),
  ...wireCommandSigning(),
  tasks: createTasks(createStepFunctionsClient()),
  push: createPush(createConnectionsClient(readEnvironment(['webSocketUrl']).webSocketUrl)),
});
