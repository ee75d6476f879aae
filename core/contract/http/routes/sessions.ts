import * as z from 'zod/mini';
import { IsolationVerificationSchema } from '../../isolation-verification.ts';
import { IdOrNameSchema, IdSchema, TimestampSchema } from '../../primitives.ts';
import {
  ExecRequestSchema,
  ExecResponseSchema,
  LogCursorSchema,
  LogPageSchema,
  SessionRequestSchema,
  SessionTokenSchema,
} from '../../session.ts';
import type { Route } from '../route.ts';
import { DryRunSchema } from './answers.ts';
import { byIdOrName, dryRun } from './shared.ts';

export const SESSIONS_ROUTES = [
  {
    operationId: 'verifyContainerIsolation',
    method: 'POST',
    path: '/v1/containers/{idOrName}/isolation/verify',
    function: 'sessions',
    scope: 'sessions:open',
    overShare: 'refused',
    parameters: byIdOrName,
    query: z.strictObject(dryRun),
    body: z.strictObject({}),
    bodyOptional: true,
    responses: { 200: z.union([IsolationVerificationSchema, DryRunSchema]) },
    mutation: { ifMatch: false },
  },
  {
    operationId: 'getContainerLogs',
    method: 'GET',
    path: '/v1/containers/{idOrName}/logs',
    function: 'sessions',
    scope: 'containers:read',
    overShare: 'refused',
    parameters: byIdOrName,
    query: z.strictObject({
      /** Number of newest lines. */
      tail: z.optional(z.string().check(z.regex(/^(0|[1-9][0-9]{0,3}|10000)$/))),
      /** Only output from this time on. */
      since: z.optional(TimestampSchema),
      /** Cursor of the previous page. Not with `tail`. */
      cursor: z.optional(LogCursorSchema),
    }),
    responses: { 200: LogPageSchema },
  },
  {
    operationId: 'execInContainer',
    method: 'POST',
    path: '/v1/containers/{idOrName}/exec',
    function: 'sessions',
    scope: 'sessions:open',
    overShare: 'refused',
    parameters: byIdOrName,
    query: z.strictObject(dryRun),
    body: ExecRequestSchema,
    responses: { 200: z.union([ExecResponseSchema, DryRunSchema]) },
    mutation: { ifMatch: false },
  },
  {
    operationId: 'openSession',
    method: 'POST',
    path: '/v1/containers/{idOrName}/sessions',
    function: 'sessions',
    scope: 'sessions:open',
    overShare: 'refused',
    parameters: byIdOrName,
    query: z.strictObject(dryRun),
    body: SessionRequestSchema,
    bodyOptional: true,
    responses: { 201: SessionTokenSchema, 200: DryRunSchema },
    mutation: { ifMatch: false },
  },
  {
    operationId: 'revokeSession',
    method: 'DELETE',
    path: '/v1/containers/{idOrName}/sessions/{sessionId}',
    function: 'sessions',
    scope: 'sessions:open',
    overShare: 'refused',
    parameters: z.strictObject({ idOrName: IdOrNameSchema, sessionId: IdSchema }),
    query: z.strictObject(dryRun),
    responses: { 204: null, 200: DryRunSchema },
    mutation: { ifMatch: false },
  },
] as const satisfies readonly Route[];
