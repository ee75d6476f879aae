import * as z from 'zod/mini';
import { OperationSchema, OperationStateSchema, OperationSummarySchema } from '../../operation.ts';
import { IdSchema } from '../../primitives.ts';
import type { Route } from '../route.ts';
import { DryRunSchema } from './answers.ts';
import { byId, dryRun, list, paging } from './shared.ts';

export const OPERATIONS_ROUTES = [
  {
    operationId: 'listOperations',
    method: 'GET',
    path: '/v1/operations',
    function: 'operations',
    scope: 'containers:read',
    query: z.strictObject({
      ...paging,
      containerId: z.optional(IdSchema),
      state: z.optional(OperationStateSchema),
    }),
    responses: { 200: list(OperationSummarySchema) },
  },
  {
    operationId: 'getOperation',
    method: 'GET',
    path: '/v1/operations/{id}',
    function: 'operations',
    scope: 'containers:read',
    overShare: 'shortened',
    parameters: byId,
    query: z.strictObject({ waitSeconds: z.optional(z.string().check(z.regex(/^([0-9]|1[0-9]|2[0-5])$/))) }),
    responses: { 200: OperationSchema },
  },
  {
    operationId: 'cancelOperation',
    method: 'POST',
    path: '/v1/operations/{id}/cancel',
    function: 'operations',
    scope: 'containers:write',
    parameters: byId,
    query: z.strictObject(dryRun),
    body: z.strictObject({}),
    bodyOptional: true,
    responses: { 200: z.union([OperationSchema, DryRunSchema]) },
    mutation: { ifMatch: false },
  },
] as const satisfies readonly Route[];
