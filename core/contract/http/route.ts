import type * as z from 'zod/mini';

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
