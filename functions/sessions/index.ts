import { createConnectionsClient } from '../shared/clients.ts';
import { createCloseConnection } from '../shared/close-connection.ts';
import { readEnvironment } from '../shared/environment.ts';
import { HTTP_ENVIRONMENT, wireHttp } from '../shared/http/wire.ts';
import { createPush } from '../shared/push.ts';
import { wireCommandSigning, wireSessionSeal } from '../shared/wire-secrets.ts';
import { createHandler } from './handler.ts';

const environment = readEnvironment([
  ...HTTP_ENVIRONMENT,
  'webSocketUrl',
  'sessionIdleSeconds',
  'sessionTotalSeconds',
]);
const connections = createConnectionsClient(environment.webSocketUrl);

export const handler = createHandler({
  ...wireHttp(environment),
  ...wireCommandSigning(),
  ...wireSessionSeal(),
  push: createPush(connections),
  closeConnection: createCloseConnection(connections),
  webSocketUrl: environment.webSocketUrl,
  idleSeconds: environment.sessionIdleSeconds,
  totalSeconds: environment.sessionTotalSeconds,
});
