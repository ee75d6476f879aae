import { createInternalDependencies } from '../shared/internal.ts';
import { wireSessionSeal } from '../shared/secrets/wire-secrets.ts';
import { createAuthorizeHostHandler } from './handler.ts';

export const handler = createAuthorizeHostHandler({
  ...createInternalDependencies('authorize-host'),
  ...wireSessionSeal(),
});
