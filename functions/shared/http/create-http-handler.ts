import middy, { type MiddlewareObj } from '@middy/core';
import type { FairShareLimits } from '../../../core/contract/fair-share.ts';
import type { OperationId, Route } from '../../../core/contract/http/routes.ts';
import { NotFoundError, TooBusyError, TooManyRequestsError } from '../../../core/domain/errors.ts';
import type { Table } from '../../../store/table.ts';
import type { Logger } from '../../../workflow/logger.ts';
import type { Dependencies } from '../dependencies.ts';
import type { Metrics } from '../observability/metrics.ts';
import { authenticate, type ClaimNames } from './authenticate.ts';
import type {
  Answer,
  Exchange,
  HttpEvent,
  HttpResponse,
  Identity,
  RouteHandlers,
  RouteRequest,
  ValidatedInput,
} from './exchange.ts';
import { FairShare } from './fair-share.ts';
import { answerOnce, requestHash } from './idempotency.ts';
import { problemResponse, toResponse } from './respond.ts';
import { validate } from './validate.ts';

export interface HttpDependencies extends Dependencies {
  readonly claims: ClaimNames;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly fairShare: FairShareLimits;
  /** Store of responses for repeated requests. Only functions with mutations need it. */
  readonly table?: Table;
}

export interface LambdaContext {
  readonly getRemainingTimeInMillis?: () => number;
}

/** The Lambda handler. */
export type LambdaHandler = (event: HttpEvent, context?: LambdaContext) => Promise<HttpResponse>;

type Middleware = MiddlewareObj<Exchange, HttpResponse>;
type AnyHandler = (request: RouteRequest<Route>) => Promise<Answer>;

/** Time that remains for an error response before Lambda ends the function, in milliseconds. */
const LAST_WORDS_MS = 250;

const outOfTime = (): never => {
  throw new TooBusyError('The request took too long. It may have been carried out.', {
    suggestion: 'Repeat it with the same Idempotency-Key, or read the resource.',
  });
};

/** Finds the handler of the route first, because the following steps depend on the route. */
const findRoute = (routes: ReadonlyMap<string, Route>): Middleware => ({
  before: ({ event: exchange }) => {
    const route = routes.get(exchange.event.routeKey);
    if (route === undefined) throw new NotFoundError('The resource does not exist.');
    exchange.route = route;
    exchange.logger = exchange.logger.with({ route: route.operationId });
  },
});

const requireIdentity = (claims: ClaimNames): Middleware => ({
  before: ({ event: exchange }) => {
    const scope = exchange.route?.scope ?? null;
    if (scope === null) return;
    exchange.identity = authenticate(exchange.event, scope, claims);
    exchange.logger = exchange.logger.with({ tenant: exchange.identity.tenant });
  },
});

/** Runs before anything is read, so that a request beyond the tenant's share costs as little as possible. */
const requireShare = (share: FairShare): Middleware => ({
  before: ({ event: { identity, route } }) => {
    if (identity === undefined) return;
    const seconds = share.takeRequest(identity.tenant);
    if (seconds !== null)
      throw new TooManyRequestsError('The tenant exceeds its share of requests.', seconds);
    if (route?.overShare === 'refused' && share.secondsToWait(identity.tenant) <= 0)
      throw new TooManyRequestsError(
        'The tenant exceeds its share of waiting requests.',
        share.secondsUntilWait(identity.tenant),
      );
  },
});

const requireValidInput: Middleware = {
  before: ({ event: exchange }) => {
    if (exchange.route !== undefined) exchange.input = validate(exchange.route, exchange.event);
  },
};

/** Turns errors into problem documents. Unexpected errors are logged and not shown to the caller. */
const answerWithProblems: Middleware = {
  onError: ({ event: exchange, error }) => {
    const response = problemResponse(error, exchange.event.requestContext.requestId);
    if (response.statusCode === 500) exchange.logger.error('request failed', {}, error);
    return response;
  },
};

const requestOf = (
  exchange: Exchange,
  input: ValidatedInput,
  share: FairShare,
  remember: RouteRequest<Route>['remember'],
): RouteRequest<Route> => ({
  requestId: exchange.event.requestContext.requestId,
  logger: exchange.logger,
  // Routes with a scope have an identity by now. The types of other handlers do not include it.
  identity: (exchange.identity ?? null) as Identity,
  params: input.params as RouteRequest<Route>['params'],
  query: input.query,
  body: input.body as RouteRequest<Route>['body'],
  dryRun: input.query.dryRun === 'true',
  ifMatch: input.ifMatch,
  secondsToWait: exchange.identity === undefined ? 0 : share.secondsToWait(exchange.identity.tenant),
  remember,
});

const dispatch =
  (handlers: ReadonlyMap<string, AnyHandler>, share: FairShare, dependencies: HttpDependencies) =>
  async (exchange: Exchange): Promise<HttpResponse> => {
    const { event, route, input, identity } = exchange;
    const handler = route && handlers.get(route.operationId);
    if (route === undefined || input === undefined || handler === undefined)
      throw new NotFoundError('The resource does not exist.');
    const { table } = dependencies;
    const key = input.idempotencyKey;
    if (key === null || identity === undefined || table === undefined || input.query.dryRun === 'true')
      return toResponse(await handler(requestOf(exchange, input, share, () => [])));
    const attempt = {
      scope: {
        tenant: identity.tenant,
        subject: identity.actor,
        method: route.method,
        path: event.rawPath,
        key,
      },
      requestHash: requestHash([event.rawQueryString, event.headers?.['if-match'], input.bodyText]),
    };
    return answerOnce(attempt, { ...dependencies, table }, (remember) =>
      handler(requestOf(exchange, input, share, remember)),
    );
  };

const record = (
  exchange: Exchange,
  response: HttpResponse | null | undefined,
  share: FairShare,
  { monotonic, metrics }: HttpDependencies,
): void => {
  const status = response?.statusCode ?? 500;
  const { identity, route, input } = exchange;
  const milliseconds = monotonic() - exchange.startedAt;
  if (identity !== undefined && input !== undefined && route?.overShare !== undefined)
    share.chargeWait(identity.tenant, Math.max(milliseconds / 1000, route.leastSeconds ?? 0));
  exchange.logger.info('request', {
    status,
    durationMs: Math.round(milliseconds * 1000) / 1000,
  });
  if (status === 429) metrics.count('limitReached', { tenant: identity?.tenant });
};

/**
 * The handler of a function behind the HTTP API: finds the route, authenticates, validates, and calls the route's
 * handler with a typed request. Every error becomes an `application/problem+json`.
 */
export const createHttpHandler = <Ids extends OperationId>(
  own: readonly Route[],
  handlers: RouteHandlers<Ids>,
  dependencies: HttpDependencies,
): LambdaHandler => {
  const routes = new Map(
    own
      .filter(({ operationId }) => operationId in handlers)
      .map((route) => [`${route.method} ${route.path}`, route]),
  );
  // A handler's request has the type of its route, which the map from name to handler cannot express.
  const share = new FairShare(dependencies.fairShare, dependencies);
  const act = dispatch(new Map<string, AnyHandler>(Object.entries(handlers)), share, dependencies);
  const pipeline = middy<Exchange, HttpResponse>({
    timeoutEarlyInMillis: LAST_WORDS_MS,
    timeoutEarlyResponse: outOfTime,
    requestEnd: ({ event, response }) => record(event as Exchange, response, share, dependencies),
  })
    .use(answerWithProblems)
    .use(findRoute(routes))
    .use(requireIdentity(dependencies.claims))
    .use(requireShare(share))
    .use(requireValidInput)
    .handler(act as never);
  return (event, context) => {
    const { requestId } = event.requestContext;
    const logger = dependencies.logger.with({ requestId });
    const exchange: Exchange = { event, startedAt: dependencies.monotonic(), logger };
    return pipeline(exchange, (context ?? {}) as never) as Promise<HttpResponse>;
  };
};
