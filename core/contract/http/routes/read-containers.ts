import * as z from 'zod/mini';
import { ContainerSchema, ContainerStateSchema, ContainerSummarySchema } from '../../container.ts';
import { IdSchema, ImageNameSchema, LIMITS, NameSchema, RuntimeTypeInputSchema } from '../../primitives.ts';
import type { Route } from '../route.ts';
import { byIdOrName, list, paging } from './shared.ts';

/** Labels in a query: `label=k=v`, repeated for several, all of which must match. */
const LabelFilterSchema = z
  .array(z.string().check(z.maxLength(512), z.regex(/^[^=]+=.*$/u)))
  .check(z.maxLength(LIMITS.labels));

export const READ_CONTAINERS_ROUTES = [
  {
    operationId: 'listContainers',
    method: 'GET',
    path: '/v1/containers',
    function: 'read-containers',
    scope: 'containers:read',
    query: z.strictObject({
      ...paging,
      runtimeType: z.optional(RuntimeTypeInputSchema),
      state: z.optional(ContainerStateSchema),
      hostId: z.optional(IdSchema),
      name: z.optional(NameSchema),
      image: z.optional(ImageNameSchema),
      label: z.optional(LabelFilterSchema),
    }),
    responses: { 200: list(ContainerSummarySchema) },
  },
  {
    operationId: 'getContainer',
    method: 'GET',
    path: '/v1/containers/{idOrName}',
    function: 'read-containers',
    scope: 'containers:read',
    parameters: byIdOrName,
    responses: { 200: ContainerSchema },
  },
] as const satisfies readonly Route[];
