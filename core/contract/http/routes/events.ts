import * as z from 'zod/mini';
import { EventSchema } from '../../event.ts';
import type { Route } from '../route.ts';
import { list, paging } from './shared.ts';

export const EVENTS_ROUTES = [
  {
    operationId: 'listEvents',
    method: 'GET',
    path: '/v1/events',
    function: 'events',
    scope: 'containers:read',
    query: z.strictObject({ ...paging, from: z.optional(z.enum(['start', 'end'])) }),
    responses: { 200: list(EventSchema) },
  },
] as const satisfies readonly Route[];
