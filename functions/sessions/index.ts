import { createConnectionsClient } from '../shared/clients.ts';
import { readEnvironment } from '../shared/environment.ts';
import { createCloseConnection } from '../shared/hosts/close-connection.ts';
import { createPush } from '../shared/hosts/push.ts';
import { HTTP_ENVIRONMENT, wireHttp } from '../shared/http/wire.ts';
import { wireCommandSigning, wireSessionSeal } from '../shared/secrets/wire-secrets.ts';
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
