import * as z from 'zod/mini';
import { ImageSchema, ImageSummarySchema, ImportImageRequestSchema } from '../../image.ts';
import { OperationSchema } from '../../operation.ts';
import { ImageNameSchema } from '../../primitives.ts';
import type { Route } from '../route.ts';
import { DryRunSchema } from './answers.ts';
import { dryRun, list, paging } from './shared.ts';

export const IMAGES_ROUTES = [
  {
    operationId: 'listImages',
    method: 'GET',
    path: '/v1/images',
    function: 'images',
    scope: 'containers:read',
    query: z.strictObject(paging),
    responses: { 200: list(ImageSummarySchema) },
  },
  {
    operationId: 'importImage',
    method: 'POST',
    path: '/v1/images',
    function: 'images',
    scope: 'hosts:admin',
    query: z.strictObject(dryRun),
    body: ImportImageRequestSchema,
    responses: { 202: z.strictObject({ operation: OperationSchema }), 200: DryRunSchema },
    mutation: { ifMatch: false },
  },
  {
    operationId: 'getImage',
    method: 'GET',
    path: '/v1/images/{name+}',
    function: 'images',
    scope: 'containers:read',
    parameters: z.strictObject({ name: ImageNameSchema }),
    responses: { 200: ImageSchema },
  },
  {
    operationId: 'removeImage',
    method: 'DELETE',
    path: '/v1/images/{name+}',
    function: 'images',
    scope: 'hosts:admin',
    parameters: z.strictObject({ name: ImageNameSchema }),
    query: z.strictObject(dryRun),
    responses: { 204: null, 200: DryRunSchema },
    mutation: { ifMatch: true },
  },
] as const satisfies readonly Route[];
