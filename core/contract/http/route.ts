import type * as z from 'zod/mini';

/** Scopes of a token, only from the validated JWT. */
export const SCOPES = [
  'containers:read',
  'containers:write',
  'sessions:open',
  'hosts:admin',
  'rules:write',
] as const;
export type Scope = (typeof SCOPES)[number];

/** The Lambda functions behind the HTTP API; each has a folder of this name in `functions/`. */
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
  /** In API Gateway's syntax: `/v1/containers/{idOrName}`, `{name+}` for a rest with slashes. */
  readonly path: string;
  readonly function: HttpFunction;
  /** Null: no token needed. */
  readonly scope: Scope | null;
  readonly parameters?: z.ZodMiniObject;
  /** Query parameters as strings, or as a list of strings for repeatable ones; unknown ones are refused. */
  readonly query?: z.ZodMiniObject;
  readonly body?: z.ZodMiniType;
  /** The body is optional. */
  readonly bodyOptional?: boolean;
  readonly responses: Readonly<Record<number, z.ZodMiniType | null>>;
  /**
   * For a route that can occupy its function for seconds, which counts against the tenant's share. When the tenant is over
   * its share, waits are `shortened`, or requests are `refused` with 429 and Retry-After.
   */
  readonly overShare?: 'shortened' | 'refused';
  /** Minimum number of seconds that a request is charged with, because all tenants share EventBridge's low rate limit. */
  readonly leastSeconds?: number;
  /** Accepts `Idempotency-Key` and `dryRun`; also `ifMatch`, if the resource has an ETag. */
  readonly mutation?: { readonly ifMatch: boolean };
}
