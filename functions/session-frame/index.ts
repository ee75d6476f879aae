import { createConnectionsClient } from '../shared/clients.ts';
import { readEnvironment } from '../shared/environment.ts';
import { createPush } from '../shared/hosts/push.ts';
import { createInternalDependencies } from '../shared/internal.ts';
import { wireSessionSeal } from '../shared/secrets/wire-secrets.ts';
import { createSessionFrameHandler } from './handler.ts';

export const handler = createSessionFrameHandler({
  ...createInternalDependencies('session-frame'),
  ...wireSessionSeal(),
  push: createPush(createConnectionsClient(readEnvironment(['webSocketUrl']).webSocketUrl)),
});
