import { createInternalDependencies } from '../shared/internal.ts';
import { createAuthorizeHostHandler } from './handler.ts';

export const handler = createAuthorizeHostHandler(createInternalDependencies('authorize-host'));
