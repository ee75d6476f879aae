import { createStepFunctionsClient } from '../shared/clients.ts';
import { readEnvironment } from '../shared/environment.ts';
import { createInternalDependencies } from '../shared/internal.ts';
import { createStartWorkflow } from '../shared/steps/start-workflow.ts';
import { createTasks } from '../shared/steps/step-functions-tasks.ts';
import { createRunConversionRuleHandler } from './handler.ts';

const { stateMachines, eventTenants } = readEnvironment(['stateMachines', 'eventTenants']);
const stepFunctions = createStepFunctionsClient();

export const handler = createRunConversionRuleHandler({
  ...createInternalDependencies('run-conversion-rule'),
  tasks: createTasks(stepFunctions),
  startWorkflow: createStartWorkflow(stepFunctions, stateMachines),
  eventTenants,
});
