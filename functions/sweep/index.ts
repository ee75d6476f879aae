import { createStepFunctionsClient } from '../shared/clients.ts';
import { readEnvironment } from '../shared/environment.ts';
import { createInternalDependencies } from '../shared/internal.ts';
import { createTasks } from '../shared/steps/step-functions-tasks.ts';
import { createSweepHandler } from './handler.ts';

export const handler = createSweepHandler({
  ...createInternalDependencies('sweep'),
  tasks: createTasks(createStepFunctionsClient()),
  leaseSeconds: readEnvironment(['leaseSeconds']).leaseSeconds,
});
