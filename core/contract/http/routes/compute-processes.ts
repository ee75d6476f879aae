import * as z from 'zod/mini';
import { ComputeProcessSchema } from '../../compute-process.ts';
import { IdOrNameSchema, IdSchema } from '../../primitives.ts';
import type { Route } from '../route.ts';
import { list, paging } from './shared.ts';

export const COMPUTE_PROCESSES_ROUTES = [
  {
    operationId: 'listComputeProcesses',
    method: 'GET',
    path: '/v1/compute-processes',
    function: 'compute-processes',
    scope: 'containers:read',
    query: z.strictObject({ ...paging, hostId: z.optional(IdSchema) }),
    responses: { 200: list(ComputeProcessSchema) },
  },
  {
    operationId: 'getComputeProcess',
    method: 'GET',
    path: '/v1/compute-processes/{id}',
    function: 'compute-processes',
    scope: 'containers:read',
    parameters: z.strictObject({ id: IdOrNameSchema }),
    responses: { 200: ComputeProcessSchema },
  },
] as const satisfies readonly Route[];
