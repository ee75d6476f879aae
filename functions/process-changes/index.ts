import { createEventBridgeClient, createStepFunctionsClient } from '../shared/clients.ts';
import { readEnvironment } from '../shared/environment.ts';
import { createInternalDependencies } from '../shared/internal.ts';
import { createStartWorkflow } from '../shared/steps/start-workflow.ts';
import { createTasks } from '../shared/steps/step-functions-tasks.ts';
import { createProcessChangesHandler } from './handler.ts';
import { createPublish } from './publish.ts';

const { bus, stateMachines } = readEnvironment(['bus', 'stateMachines']);
const stepFunctions = createStepFunctionsClient();
const dependencies = createInternalDependencies('process-changes');

export const handler = createProcessChangesHandler({
  ...dependencies,
  publish: createPublish(createEventBridgeClient(), bus, dependencies.sleep),
  startWorkflow: createStartWorkflow(stepFunctions, stateMachines),
  tasks: createTasks(stepFunctions),
});
