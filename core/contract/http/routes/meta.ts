import * as z from 'zod/mini';
import type { Route } from '../route.ts';

export const META_ROUTES = [
  {
    operationId: 'getHealth',
    method: 'GET',
    path: '/v1/health',
    function: 'meta',
    scope: null,
    responses: { 200: z.strictObject({ status: z.literal('ok') }) },
  },
  {
    operationId: 'getVersion',
    method: 'GET',
    path: '/v1/version',
    function: 'meta',
    scope: null,
    responses: { 200: z.strictObject({ version: z.string(), apiVersion: z.literal('v1') }) },
  },
  {
    operationId: 'getOpenApi',
    method: 'GET',
    path: '/v1/openapi.json',
    function: 'meta',
    scope: null,
    responses: { 200: z.looseObject({ openapi: z.string() }) },
  },
] as const satisfies readonly Route[];
