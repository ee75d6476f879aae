import { createEventBridgeClient } from '../shared/clients.ts';
import { readEnvironment } from '../shared/environment.ts';
import { HTTP_ENVIRONMENT, wireHttp } from '../shared/http/wire.ts';
import { createEventRules } from './event-rules.ts';
import { createHandler } from './handler.ts';

const environment = readEnvironment([
  ...HTTP_ENVIRONMENT,
  'bus',
  'ruleMachine',
  'ruleRole',
  'ruleDeadLetters',
  'eventTenants',
  'rulesPerTenant',
]);

export const handler = createHandler({
  ...wireHttp(environment),
  eventTenants: environment.eventTenants,
  rulesPerTenant: environment.rulesPerTenant,
  eventRules: createEventRules(createEventBridgeClient(), {
    bus: environment.bus,
    machineArn: environment.ruleMachine,
    roleArn: environment.ruleRole,
    deadLettersArn: environment.ruleDeadLetters,
  }),
});
