import { createStepFunctionsClient } from '../shared/clients.ts';
import { readEnvironment } from '../shared/environment.ts';
import { createInternalDependencies } from '../shared/internal.ts';
import { createStartFailure } from '../shared/steps/start-workflow.ts';
import { createTasks } from '../shared/steps/step-functions-tasks.ts';
import { createSweepHandler } from './handler.ts';

const { leaseSeconds, stateMachines } = readEnvironment(['leaseSeconds', 'stateMachines']);
const stepFunctions = createStepFunctionsClient();

export const handler = createSweepHandler({
  ...createInternalDependencies('sweep'),
  tasks: createTasks(stepFunctions),
  startFailure: createStartFailure(stepFunctions, stateMachines),
  leaseSeconds,
});
