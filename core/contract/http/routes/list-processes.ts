import { IsolationReportSchema, ProcessSchema } from '../../compute-process.ts';
import type { Route } from '../route.ts';
import { byId, byIdOrName, list } from './shared.ts';

export const LIST_PROCESSES_ROUTES = [
  {
    operationId: 'listContainerProcesses',
    method: 'GET',
    path: '/v1/containers/{idOrName}/processes',
    function: 'list-processes',
    scope: 'containers:read',
    overShare: 'refused',
    parameters: byIdOrName,
    responses: { 200: list(ProcessSchema) },
  },
  {
    operationId: 'getContainerIsolation',
    method: 'GET',
    path: '/v1/containers/{idOrName}/isolation',
    function: 'list-processes',
    scope: 'containers:read',
    overShare: 'refused',
    parameters: byIdOrName,
    responses: { 200: IsolationReportSchema },
  },
  {
    operationId: 'listHostProcesses',
    method: 'GET',
    path: '/v1/hosts/{id}/processes',
    function: 'list-processes',
    scope: 'hosts:admin',
    overShare: 'refused',
    parameters: byId,
    responses: { 200: list(ProcessSchema) },
  },
] as const satisfies readonly Route[];
