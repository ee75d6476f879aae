import * as z from 'zod/mini';
import { CreateContainerRequestSchema } from '../../container.ts';
import type { Route } from '../route.ts';
import { accepted } from './answers.ts';
import { dryRun } from './shared.ts';

export const CREATE_CONTAINER_ROUTES = [
  {
    operationId: 'createContainer',
    method: 'POST',
    path: '/v1/containers',
    function: 'create-container',
    scope: 'containers:write',
    query: z.strictObject(dryRun),
    body: CreateContainerRequestSchema,
    responses: accepted,
    mutation: { ifMatch: false },
  },
] as const satisfies readonly Route[];
