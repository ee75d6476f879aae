import { createStepFunctionsClient } from '../shared/clients.ts';
import { createInternalDependencies } from '../shared/internal.ts';
import { createTasks } from '../shared/steps/step-functions-tasks.ts';
import { createAdmitWaitingHandler } from './handler.ts';

export const handler = createAdmitWaitingHandler({
  ...createInternalDependencies('admit-waiting'),
  tasks: createTasks(createStepFunctionsClient()),
});
