import * as z from 'zod/mini';
import { ComputeProcessSchema, IsolationReportSchema, ProcessSchema } from '../compute-process.ts';
import {
  ContainerSchema,
  ContainerStateSchema,
  ConversionPreviewSchema,
  CreateContainerRequestSchema,
  StopContainerRequestSchema,
  UpdateContainerRequestSchema,
} from '../container.ts';
import {
  ConversionRuleSchema,
  PutConversionRuleRequestSchema,
  RuleRunSchema,
  TestConversionRuleRequestSchema,
  TestConversionRuleResponseSchema,
} from '../conversion-rule.ts';
import { EventSchema } from '../event.ts';
import {
  CapacitySchema,
  EnrollHostRequestSchema,
  EnrollHostResponseSchema,
  EnrollmentTokenRequestSchema,
  EnrollmentTokenSchema,
  HostSchema,
  UpdateHostRequestSchema,
} from '../host.ts';
import { ImageSchema, ImportImageRequestSchema } from '../image.ts';
import { IsolationVerificationSchema } from '../isolation-verification.ts';
import { OperationSchema, OperationStateSchema } from '../operation.ts';
import {
  IdOrNameSchema,
  IdSchema,
  ImageNameSchema,
  LIMITS,
  NameSchema,
  RuntimeTypeInputSchema,
  TimestampSchema,
} from '../primitives.ts';
import {
  ExecRequestSchema,
  ExecResponseSchema,
  LogCursorSchema,
  LogPageSchema,
  SessionRequestSchema,
  SessionTokenSchema,
} from '../session.ts';

/** Scopes of a token; the validated JWT is their only source. */
export const SCOPES = [
  'containers:read',
  'containers:write',
  'sessions:open',
  'hosts:admin',
  'rules:write',
] as const;
export type Scope = (typeof SCOPES)[number];

/** The Lambda functions that answer HTTP; each has a folder of this name in `functions/`. */
export const HTTP_FUNCTIONS = [
  'create-container',
  'read-containers',
  'update-container',
  'control-container',
  'list-processes',
  'sessions',
  'compute-processes',
  'hosts',
  'host-enrollment',
  'images',
  'operations',
  'events',
  'conversion-rules',
  'meta',
] as const;
export type HttpFunction = (typeof HTTP_FUNCTIONS)[number];

export interface Route {
  /** Stable name: OpenAPI's operationId, and the key of the function's handler. */
  readonly operationId: string;
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** As API Gateway writes it: `/v1/containers/{idOrName}`, `{name+}` for a rest with slashes. */
  readonly path: string;
  readonly function: HttpFunction;
  /** Null: no token needed. */
  readonly scope: Scope | null;
  readonly parameters?: z.ZodMiniObject;
  /** Query parameters as strings, and as a list of strings where one may be repeated; unknown ones are refused. */
  readonly query?: z.ZodMiniObject;
  readonly body?: z.ZodMiniType;
  /** A body may be left out. */
  readonly bodyOptional?: boolean;
  readonly responses: Readonly<Record<number, z.ZodMiniType | null>>;
  /**
   * The route can hold its function for seconds, which counts against the tenant's share. Beyond it a wait is
   * `shortened`, or the request `refused` with 429 and Retry-After.
   */
  readonly holds?: 'shortened' | 'refused';
  /** Counts as so many seconds at least, because it uses what all tenants share: EventBridge takes few changes a second. */
  readonly leastSeconds?: number;
  /** Takes `Idempotency-Key` and `dryRun`; `ifMatch`, where the resource has an ETag. */
  readonly mutation?: { readonly ifMatch: boolean };
}

const list = <T extends z.ZodMiniType>(items: T) =>
  z.strictObject({ items: z.array(items), nextCursor: z.nullable(z.string()) });

const paging = {
  limit: z.optional(z.string().check(z.regex(/^([1-9]|[1-9][0-9]|1[0-9]{2}|200)$/))),
  cursor: z.optional(z.string().check(z.maxLength(2048), z.regex(/^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/))),
};
const flag = z.optional(z.enum(['true', 'false']));
const dryRun = { dryRun: flag };
const byIdOrName = z.strictObject({ idOrName: IdOrNameSchema });
const byId = z.strictObject({ id: IdSchema });
const byName = z.strictObject({ name: NameSchema });

export const AcceptedSchema = z.strictObject({ container: ContainerSchema, operation: OperationSchema });

/** What a dry run says would be done; nothing was. */
export const DryRunSchema = z.strictObject({
  dryRun: z.literal(true),
  wouldDo: z.string(),
  placement: z.nullable(
    z.strictObject({
      fits: z.boolean(),
      hostId: z.nullable(IdSchema),
      reason: z.string(),
      reservation: z.nullable(CapacitySchema),
    }),
  ),
  conversion: z.optional(ConversionPreviewSchema),
});

const accepted = { 202: AcceptedSchema, 200: z.union([AcceptedSchema, DryRunSchema]) };
const operation = <Name extends 'start' | 'stop' | 'restart' | 'kill', Body extends z.ZodMiniType>(
  name: Name,
  body: Body,
) =>
  ({
    operationId: `${name}Container`,
    method: 'POST',
    path: `/v1/containers/{idOrName}/${name}`,
    function: 'control-container',
    scope: 'containers:write',
    parameters: byIdOrName,
    query: z.strictObject(dryRun),
    body,
    bodyOptional: true,
    responses: accepted,
    mutation: { ifMatch: true },
  }) as const;

const nothing = z.strictObject({});

/** Labels in a query: `label=k=v`, repeated for several, all of which must match. */
const LabelFilterSchema = z
  .array(z.string().check(z.maxLength(512), z.regex(/^[^=]+=.*$/u)))
  .check(z.maxLength(LIMITS.labels));

/**
 * Every route of the API, once: the synthesized API, the validation of requests, the OpenAPI document and the
 * tests' matrices all come from here.
 */
const DEFINITIONS = [
  {
    operationId: 'createContainer',
    method: 'POST',
    path: '/v1/containers',
    function: 'create-container',
    scope: 'containers:write',
    query: z.strictObject(dryRun),
    body: CreateContainerRequestSchema,
    responses: accepted,
    mutation: { ifMatch: false },
  },
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
    responses: { 200: list(ContainerSchema) },
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
  {
    operationId: 'updateContainer',
    method: 'PATCH',
    path: '/v1/containers/{idOrName}',
    function: 'update-container',
    scope: 'containers:write',
    parameters: byIdOrName,
    query: z.strictObject(dryRun),
    body: UpdateContainerRequestSchema,
    responses: { 200: z.union([ContainerSchema, AcceptedSchema, DryRunSchema]), 202: AcceptedSchema },
    mutation: { ifMatch: true },
  },
  operation('start', nothing),
  operation('stop', StopContainerRequestSchema),
  operation('restart', StopContainerRequestSchema),
  operation('kill', nothing),
  {
    operationId: 'removeContainer',
    method: 'DELETE',
    path: '/v1/containers/{idOrName}',
    function: 'control-container',
    scope: 'containers:write',
    parameters: byIdOrName,
    query: z.strictObject({ ...dryRun, force: flag }),
    responses: accepted,
    mutation: { ifMatch: true },
  },
  {
    operationId: 'listContainerProcesses',
    method: 'GET',
    path: '/v1/containers/{idOrName}/processes',
    function: 'list-processes',
    scope: 'containers:read',
    holds: 'refused',
    parameters: byIdOrName,
    responses: { 200: list(ProcessSchema) },
  },
  {
    operationId: 'getContainerIsolation',
    method: 'GET',
    path: '/v1/containers/{idOrName}/isolation',
    function: 'list-processes',
    scope: 'containers:read',
    holds: 'refused',
    parameters: byIdOrName,
    responses: { 200: IsolationReportSchema },
  },
  {
    operationId: 'verifyContainerIsolation',
    method: 'POST',
    path: '/v1/containers/{idOrName}/isolation/verify',
    function: 'sessions',
    scope: 'sessions:open',
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
    holds: 'refused',
    parameters: byIdOrName,
    query: z.strictObject({
      /** The newest so many lines. */
      tail: z.optional(z.string().check(z.regex(/^(0|[1-9][0-9]{0,3}|10000)$/))),
      /** Only what was written at that time or later. */
      since: z.optional(TimestampSchema),
      /** Of the page before; then without `tail`. */
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
    holds: 'refused',
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
    holds: 'refused',
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
    holds: 'refused',
    parameters: z.strictObject({ idOrName: IdOrNameSchema, sessionId: IdSchema }),
    query: z.strictObject(dryRun),
    responses: { 204: null, 200: DryRunSchema },
    mutation: { ifMatch: false },
  },
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
  {
    operationId: 'stopComputeProcess',
    method: 'DELETE',
    path: '/v1/compute-processes/{id}',
    function: 'control-container',
    scope: 'containers:write',
    parameters: z.strictObject({ id: IdOrNameSchema }),
    query: z.strictObject(dryRun),
    responses: accepted,
    mutation: { ifMatch: false },
  },
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
    query: z.strictObject(dryRun),
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
  {
    operationId: 'listHostProcesses',
    method: 'GET',
    path: '/v1/hosts/{id}/processes',
    function: 'list-processes',
    scope: 'hosts:admin',
    holds: 'refused',
    parameters: byId,
    responses: { 200: list(ProcessSchema) },
  },
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
  {
    operationId: 'listImages',
    method: 'GET',
    path: '/v1/images',
    function: 'images',
    scope: 'containers:read',
    query: z.strictObject(paging),
    responses: { 200: list(ImageSchema) },
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
    responses: { 200: list(OperationSchema) },
  },
  {
    operationId: 'getOperation',
    method: 'GET',
    path: '/v1/operations/{id}',
    function: 'operations',
    scope: 'containers:read',
    holds: 'shortened',
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
  {
    operationId: 'listEvents',
    method: 'GET',
    path: '/v1/events',
    function: 'events',
    scope: 'containers:read',
    query: z.strictObject(paging),
    responses: { 200: list(EventSchema) },
  },
  {
    operationId: 'putConversionRule',
    method: 'PUT',
    path: '/v1/conversion-rules/{name}',
    function: 'conversion-rules',
    scope: 'rules:write',
    holds: 'refused',
    leastSeconds: 1,
    parameters: byName,
    query: z.strictObject(dryRun),
    body: PutConversionRuleRequestSchema,
    responses: { 200: z.union([ConversionRuleSchema, DryRunSchema]), 201: ConversionRuleSchema },
    mutation: { ifMatch: true },
  },
  {
    operationId: 'getConversionRule',
    method: 'GET',
    path: '/v1/conversion-rules/{name}',
    function: 'conversion-rules',
    scope: 'containers:read',
    parameters: byName,
    responses: { 200: ConversionRuleSchema },
  },
  {
    operationId: 'listConversionRules',
    method: 'GET',
    path: '/v1/conversion-rules',
    function: 'conversion-rules',
    scope: 'containers:read',
    query: z.strictObject(paging),
    responses: { 200: list(ConversionRuleSchema) },
  },
  {
    operationId: 'deleteConversionRule',
    method: 'DELETE',
    path: '/v1/conversion-rules/{name}',
    function: 'conversion-rules',
    scope: 'rules:write',
    holds: 'refused',
    leastSeconds: 1,
    parameters: byName,
    query: z.strictObject(dryRun),
    responses: { 204: null, 200: DryRunSchema },
    mutation: { ifMatch: true },
  },
  {
    operationId: 'testConversionRule',
    method: 'POST',
    path: '/v1/conversion-rules/{name}/test',
    function: 'conversion-rules',
    scope: 'containers:read',
    holds: 'refused',
    parameters: byName,
    body: TestConversionRuleRequestSchema,
    responses: { 200: TestConversionRuleResponseSchema },
  },
  {
    operationId: 'listConversionRuleRuns',
    method: 'GET',
    path: '/v1/conversion-rules/{name}/runs',
    function: 'conversion-rules',
    scope: 'containers:read',
    parameters: byName,
    query: z.strictObject(paging),
    responses: { 200: list(RuleRunSchema) },
  },
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

export const ROUTES: readonly Route[] = DEFINITIONS;

type Definition = (typeof DEFINITIONS)[number];
export type OperationId = Definition['operationId'];
/** The route of that name with its own schemas as types. */
export type RouteOf<Id extends OperationId> = Extract<Definition, { readonly operationId: Id }>;
