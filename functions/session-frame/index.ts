import { createConnectionsClient } from '../shared/clients.ts';
import { readEnvironment } from '../shared/environment.ts';
import { createInternalDependencies } from '../shared/internal.ts';
import { createPush } from '../shared/push.ts';
import { wireSessionSeal } from '../shared/wire-secrets.ts';
import { createSessionFrameHandler } from './handler.ts';

export const handler = createSessionFrameHandler({
  ...createInternalDependencies('session-frame'),
  ...wireSessionSeal(),
  push: createPush(createConnectionsClient(readEnvironment(['webSocketUrl']).webSocketUrl)),
});
