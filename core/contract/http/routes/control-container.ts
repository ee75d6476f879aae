import * as z from 'zod/mini';
import { StopContainerRequestSchema } from '../../container.ts';
import { IdOrNameSchema } from '../../primitives.ts';
import type { Route } from '../route.ts';
import { accepted } from './answers.ts';
import { byIdOrName, dryRun, flag } from './shared.ts';

const operation = <Name extends 'start' | 'stop' | 'restart' | 'kill', Body extends z.ZodMiniType>(
  name: Name,
  body: Body,
) =>
  ({
    operationId: `${name}Container`,
    method: 'POST',
    path: `/v1/containers/{idOrName}/${name}`,
    function: 'control-container',
    scope: 'containers:write',
    parameters: byIdOrName,
    query: z.strictObject(dryRun),
    body,
    bodyOptional: true,
    responses: accepted,
    mutation: { ifMatch: true },
  }) as const;

const nothing = z.strictObject({});

export const CONTROL_CONTAINER_ROUTES = [
  operation('start', nothing),
  operation('stop', StopContainerRequestSchema),
  operation('restart', StopContainerRequestSchema),
  operation('kill', nothing),
  {
    operationId: 'removeContainer',
    method: 'DELETE',
    path: '/v1/containers/{idOrName}',
    function: 'control-container',
    scope: 'containers:write',
    parameters: byIdOrName,
    query: z.strictObject({ ...dryRun, force: flag }),
    responses: accepted,
    mutation: { ifMatch: true },
  },
  {
    operationId: 'stopComputeProcess',
    method: 'DELETE',
    path: '/v1/compute-processes/{id}',
    function: 'control-container',
    scope: 'containers:write',
    parameters: z.strictObject({ id: IdOrNameSchema }),
    query: z.strictObject(dryRun),
    responses: accepted,
    mutation: { ifMatch: false },
  },
] as const satisfies readonly Route[];
