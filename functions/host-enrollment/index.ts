import { readEnvironment } from '../shared/environment.ts';
import { HTTP_ENVIRONMENT, wireHttp } from '../shared/http/wire.ts';
import { wireCommandSigning } from '../shared/secrets/wire-secrets.ts';
import { createHandler } from './handler.ts';

const environment = readEnvironment([...HTTP_ENVIRONMENT, 'webSocketUrl']);

export const handler = createHandler({
  ...wireHttp(environment),
  ...wireCommandSigning(),
  webSocketUrl: environment.webSocketUrl,
});
