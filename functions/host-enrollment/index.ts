import { readEnvironment } from '../shared/environment.ts';
import { HTTP_ENVIRONMENT, wireHttp } from '../shared/http/wire.ts';
import { createHandler } from './handler.ts';

const environment = readEnvironment([...HTTP_ENVIRONMENT, 'webSocketUrl']);

export const handler = createHandler({ ...wireHttp(environment), webSocketUrl: environment.webSocketUrl });
