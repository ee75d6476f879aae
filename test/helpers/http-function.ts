import { randomUUID } from 'node:crypto';
import { ROUTES, type Route } from '../../core/contract/http/routes.ts';
import type { HttpDependencies, LambdaHandler } from '../../functions/shared/http/create-http-handler.ts';
import type { HttpEvent, HttpResponse } from '../../functions/shared/http/exchange.ts';
import { createLogger } from '../../functions/shared/observability/logger.ts';
import { createMetrics } from '../../functions/shared/observability/metrics.ts';

/** By default tests have no limit per tenant. */
export const UNLIMITED = {
  requestsPerSecond: 1e9,
  requestBurst: 1e9,
  waitShare: 1,
  waitBurstSeconds: 1e9,
};

/** Predictable clock and bytes for tests. */
export const testDependencies = () => {
  const lines: string[] = [];
  const clock = { ms: Date.parse('2026-11-24T10:00:00.000Z') };
  let bytes = 0;
  const now = () => new Date(clock.ms);
  const write = (line: string) => {
    lines.push(line);
  };
  const dependencies = {
    now,
    monotonic: () => clock.ms,
    // Random, because the engine remembers transaction tokens across tables.
    newId: () => randomUUID(),
    randomBytes: (count: number) => {
      bytes += 1;
      return Buffer.alloc(count, bytes);
    },
    random: () => 0.5,
    sleep: async (milliseconds: number) => {
      clock.ms += milliseconds;
    },
    claims: { tenantClaim: 'tenant', scopeClaim: 'scope' },
    fairShare: UNLIMITED,
    logger: createLogger({ level: 'debug', now, write }),
    metrics: createMetrics({ now, write }),
  } satisfies HttpDependencies;
  return { ...dependencies, clock, lines };
};

export const ALL_SCOPES = 'containers:read containers:write sessions:open hosts:admin rules:write';

export interface Call {
  readonly params?: Readonly<Record<string, string>>;
  readonly query?: string;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  /** Null: no token. */
  readonly claims?: Readonly<Record<string, unknown>> | null;
  readonly requestId?: string;
}

export const routeOf = (operationId: string): Route => {
  const route = ROUTES.find((one) => one.operationId === operationId);
  if (route === undefined) throw new TypeError(`no route ${operationId}`);
  return route;
};

/** The event in which API Gateway passes a call to a function. */
export const eventFor = (operationId: string, call: Call = {}): HttpEvent => {
  const route = routeOf(operationId);
  const { params = {}, query, body, headers, claims, requestId = 'request-1' } = call;
  return {
    routeKey: `${route.method} ${route.path}`,
    rawPath: route.path.replace(/\{(\w+)\+?\}/g, (_, name: string) => params[name] ?? ''),
    rawQueryString: query ?? '',
    headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
    pathParameters: params,
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    isBase64Encoded: false,
    requestContext: {
      requestId,
      http: { method: route.method },
      ...(claims === null
        ? {}
        : { authorizer: { jwt: { claims: { tenant: 'acme', sub: 'ann', scope: ALL_SCOPES, ...claims } } } }),
    },
  };
};

export interface Answered {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly text: string;
  // biome-ignore lint/suspicious/noExplicitAny: a test says itself what it expects to be there
  readonly body: any;
}

const answered = ({ statusCode, headers, body }: HttpResponse): Answered => ({
  status: statusCode,
  headers,
  text: body,
  body: body === '' ? undefined : JSON.parse(body),
});

export const call = async (
  handler: LambdaHandler,
  operationId: string,
  given: Call = {},
): Promise<Answered> => answered(await handler(eventFor(operationId, given)));
