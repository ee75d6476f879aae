import * as z from 'zod/mini';
import {
  EnrollHostRequestSchema,
  EnrollHostResponseSchema,
  EnrollmentTokenRequestSchema,
  EnrollmentTokenSchema,
} from '../../host.ts';
import type { Route } from '../route.ts';
import { DryRunSchema } from './answers.ts';
import { dryRun } from './shared.ts';

export const HOST_ENROLLMENT_ROUTES = [
  {
    operationId: 'createEnrollmentToken',
    method: 'POST',
    path: '/v1/hosts/enrollment-tokens',
    function: 'host-enrollment',
    scope: 'hosts:admin',
    query: z.strictObject(dryRun),
    body: EnrollmentTokenRequestSchema,
    bodyOptional: true,
    responses: { 201: EnrollmentTokenSchema, 200: DryRunSchema },
    mutation: { ifMatch: false },
  },
  {
    operationId: 'enrollHost',
    method: 'POST',
    path: '/v1/hosts/enrollments',
    function: 'host-enrollment',
    scope: null,
    body: EnrollHostRequestSchema,
    responses: { 201: EnrollHostResponseSchema },
  },
] as const satisfies readonly Route[];
