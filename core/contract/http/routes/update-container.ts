import * as z from 'zod/mini';
import { ContainerSchema, UpdateContainerRequestSchema } from '../../container.ts';
import type { Route } from '../route.ts';
import { AcceptedSchema, DryRunSchema } from './answers.ts';
import { byIdOrName, dryRun } from './shared.ts';

export const UPDATE_CONTAINER_ROUTES = [
  {
    operationId: 'updateContainer',
    method: 'PATCH',
    path: '/v1/containers/{idOrName}',
    function: 'update-container',
    scope: 'containers:write',
    parameters: byIdOrName,
    query: z.strictObject(dryRun),
    body: UpdateContainerRequestSchema,
    responses: { 200: z.union([ContainerSchema, AcceptedSchema, DryRunSchema]), 202: AcceptedSchema },
    mutation: { ifMatch: true },
  },
] as const satisfies readonly Route[];
