import { readEnvironment } from '../shared/environment.ts';
import { HTTP_ENVIRONMENT, wireHttp } from '../shared/http/wire.ts';
import { createHandler } from './handler.ts';

export const handler = createHandler(wireHttp(readEnvironment(HTTP_ENVIRONMENT)));
