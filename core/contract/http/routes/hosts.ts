import * as z from 'zod/mini';
import { HostSchema, UpdateHostRequestSchema } from '../../host.ts';
import type { Route } from '../route.ts';
import { DryRunSchema } from './answers.ts';
import { byId, dryRun, flag, list, paging } from './shared.ts';

export const HOSTS_ROUTES = [
  {
    operationId: 'listHosts',
    method: 'GET',
    path: '/v1/hosts',
    function: 'hosts',
    scope: 'containers:read',
    query: z.strictObject(paging),
    responses: { 200: list(HostSchema) },
  },
  {
    operationId: 'getHost',
    method: 'GET',
    path: '/v1/hosts/{id}',
    function: 'hosts',
    scope: 'containers:read',
    parameters: byId,
    responses: { 200: HostSchema },
  },
  {
    operationId: 'updateHost',
    method: 'PATCH',
    path: '/v1/hosts/{id}',
    function: 'hosts',
    scope: 'hosts:admin',
    parameters: byId,
    query: z.strictObject(dryRun),
    body: UpdateHostRequestSchema,
    responses: { 200: z.union([HostSchema, DryRunSchema]) },
    mutation: { ifMatch: true },
  },
  {
    operationId: 'removeHost',
    method: 'DELETE',
    path: '/v1/hosts/{id}',
    function: 'hosts',
    scope: 'hosts:admin',
    parameters: byId,
    query: z.strictObject({ ...dryRun, force: flag }),
    responses: { 204: null, 200: DryRunSchema },
    mutation: { ifMatch: true },
  },
  {
    operationId: 'drainHost',
    method: 'POST',
    path: '/v1/hosts/{id}/drain',
    function: 'hosts',
    scope: 'hosts:admin',
    parameters: byId,
    query: z.strictObject(dryRun),
    body: z.strictObject({}),
    bodyOptional: true,
    responses: { 200: z.union([HostSchema, DryRunSchema]) },
    mutation: { ifMatch: true },
  },
] as const satisfies readonly Route[];
