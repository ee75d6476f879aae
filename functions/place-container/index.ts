import { createStepFunctionsClient } from '../shared/clients.ts';
import { createInternalDependencies } from '../shared/internal.ts';
import { createTasks } from '../shared/steps/step-functions-tasks.ts';
import { createPlaceContainerHandler } from './handler.ts';

export const handler = createPlaceContainerHandler({
  ...createInternalDependencies('place-container'),
  tasks: createTasks(createStepFunctionsClient()),
});
