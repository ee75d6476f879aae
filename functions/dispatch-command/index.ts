import { createConnectionsClient, createStepFunctionsClient } from '../shared/clients.ts';
import { readEnvironment } from '../shared/environment.ts';
import { createInternalDependencies } from '../shared/internal.ts';
import { createPush } from '../shared/push.ts';
import { createTasks } from '../shared/tasks.ts';
import { wireCommandSigning } from '../shared/wire-secrets.ts';
import { createDispatchCommandHandler } from './handler.ts';

export const handler = createDispatchCommandHandler({
  ...createInternalDependencies('dispatch-command'),
  ...wireCommandSigning(),
  tasks: createTasks(createStepFunctionsClient()),
  push: createPush(createConnectionsClient(readEnvironment(['webSocketUrl']).webSocketUrl)),
});
