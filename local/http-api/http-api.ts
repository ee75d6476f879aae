import type { IncomingMessage, ServerResponse } from 'node:http';
import { type AccessLog, openAccessLog } from '../api-gateway/access-log.ts';
import type {
  ApiDefinition,
  ApiGatewayLimits,
  AuthorizerDefinition,
  RouteDefinition,
  StageDefinition,
} from '../api-gateway/definition.ts';
import { invokeInTime } from '../api-gateway/invoke-in-time.ts';
import { BodyTooLargeError, readBody } from '../api-gateway/read-body.ts';
import { requestTime, shortId } from '../api-gateway/request-ids.ts';
import { StageThrottle } from '../api-gateway/stage-throttle.ts';
import type { CloudContext } from '../engine.ts';
import { gatewayResponse, type HttpResponse, parseFunctionResponse } from './function-response.ts';
import { JwtAuthorizer, type JwtDecision } from './jwt-authorizer.ts';
import { type HttpRequest, type JwtContext, joinHeaders, requestEvent } from './request-event.ts';
import { type RouteMatch, RouteTable } from './route-table.ts';

export type HttpApiDeps = Pick<
  CloudContext,
  'accountId' | 'clock' | 'functions' | 'log' | 'newId' | 'stateDir'
> & {
  readonly limits: ApiGatewayLimits;
  /** Host and port of the API. */
  readonly domainName: string;
  /** URL of an OIDC issuer's keys. */
  issuerLocation(issuer: string): string;
};

/** A request in progress, and its values for the access log. */
interface Exchange {
  readonly incoming: IncomingMessage;
  readonly stage: StageDefinition;
  /** Percent-encoded, without the stage. */
  readonly path: string;
  readonly url: URL;
  readonly requestId: string;
  readonly timeEpoch: number;
  readonly notes: Record<string, string | number | undefined>;
}

/** One HTTP API of API Gateway. */
export class HttpApi {
  readonly #definition: ApiDefinition;
  readonly #deps: HttpApiDeps;
  readonly #routes: RouteTable;
  readonly #authorizers = new Map<AuthorizerDefinition, JwtAuthorizer>();
  readonly #accessLogs = new Map<StageDefinition, AccessLog>();
  readonly #throttles = new Map<StageDefinition, StageThrottle>();

  constructor(definition: ApiDefinition, deps: HttpApiDeps) {
    this.#definition = definition;
    this.#deps = deps;
    this.#routes = new RouteTable(definition.routes);
    const byIssuer = new Map<string, JwtAuthorizer>();
    for (const { authorizer } of definition.routes) {
      if (authorizer?.kind !== 'jwt') continue;
      const shared =
        byIssuer.get(JSON.stringify(authorizer)) ??
        new JwtAuthorizer(authorizer, deps.clock, deps.issuerLocation(authorizer.issuer));
      byIssuer.set(JSON.stringify(authorizer), shared);
      this.#authorizers.set(authorizer, shared);
    }
    for (const stage of definition.stages) {
      this.#accessLogs.set(stage, openAccessLog(stage, deps.stateDir));
      this.#throttles.set(stage, new StageThrottle(stage.throttling, deps.clock));
    }
  }

  async handle(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const exchange = this.#exchange(incoming);
    if (exchange === undefined) return send(incoming, outgoing, gatewayResponse(404, 'Not Found'), '');
    const response = await this.#answer(exchange).catch((error: unknown) => {
      this.#deps.log.error('the HTTP API failed', { error: String(error), requestId: exchange.requestId });
      return gatewayResponse(500, 'Internal Server Error');
    });
    send(incoming, outgoing, response, exchange.requestId);
    this.#accessLogs.get(exchange.stage)?.write(this.#accessOf(exchange, response));
  }

  close(): void {
    for (const log of this.#accessLogs.values()) log.close();
  }

  /** A named stage is the first segment of the path; `$default` has none. */
  #exchange(incoming: IncomingMessage): Exchange | undefined {
    const url = new URL(`http://${this.#deps.domainName}${incoming.url ?? '/'}`);
    const [, first = ''] = url.pathname.split('/');
    const { stages } = this.#definition;
    const named = stages.find((stage) => stage.name === first);
    const stage = named ?? stages.find(({ name }) => name === '$default');
    if (stage === undefined) return undefined;
    return {
      incoming,
      stage,
      path: named === undefined ? url.pathname : url.pathname.slice(first.length + 1) || '/',
      url,
      requestId: shortId(this.#deps.newId()),
      timeEpoch: this.#deps.clock.now(),
      notes: {},
    };
  }

  async #answer(exchange: Exchange): Promise<HttpResponse> {
    const match = this.#routes.match(exchange.incoming.method ?? 'GET', exchange.path);
    if (match === undefined) return gatewayResponse(404, 'Not Found');
    exchange.notes.routeKey = match.route.routeKey;
    if (this.#throttles.get(exchange.stage)?.admits(match.route.routeKey) === false)
      return gatewayResponse(429, 'Too Many Requests');
    const decision = await this.#decide(match.route, exchange);
    if (decision?.allowed === false) {
      exchange.notes['authorizer.error'] = decision.wwwAuthenticate;
      const message = decision.status === 401 ? 'Unauthorized' : 'Forbidden';
      return gatewayResponse(decision.status, message, { 'www-authenticate': decision.wwwAuthenticate });
    }
    try {
      const body = await readBody(exchange.incoming, this.#deps.limits.httpBodyBytes);
      return await this.#integrate(match, exchange, body, decision?.context);
    } catch (error) {
      if (error instanceof BodyTooLargeError) return gatewayResponse(413, 'Request Entity Too Large');
      throw error;
    }
  }

  async #decide(route: RouteDefinition, exchange: Exchange): Promise<JwtDecision | undefined> {
    const authorizer = route.authorizer && this.#authorizers.get(route.authorizer);
    if (authorizer === undefined) return undefined;
    const headers = joinHeaders(exchange.incoming.rawHeaders);
    const source = {
      header: (name: string) => headers.get(name),
      query: (name: string) => exchange.url.searchParams.get(name) ?? undefined,
    };
    return await authorizer.decide(source, route.scopes);
  }

  async #integrate(
    { route, pathParameters }: RouteMatch,
    exchange: Exchange,
    body: Buffer,
    authorizer: JwtContext | undefined,
  ): Promise<HttpResponse> {
    const { clock, functions, accountId, domainName } = this.#deps;
    const event = requestEvent(httpRequestOf(exchange, body), {
      accountId,
      apiId: this.#definition.apiId,
      domainName,
      stage: exchange.stage.name,
      stageVariables: exchange.stage.variables,
      routeKey: route.routeKey,
      pathParameters,
      requestId: exchange.requestId,
      timeEpoch: exchange.timeEpoch,
      ...(authorizer === undefined ? {} : { authorizer }),
    });
    const began = clock.now();
    const answer = await invokeInTime(functions, clock, {
      ...route.integration,
      payload: JSON.stringify(event),
    });
    exchange.notes.integrationLatency = clock.now() - began;
    if (answer.outcome !== 'answered')
      return this.#failed(exchange, answer.outcome === 'failed' ? 500 : 503, answer.detail);
    const parsed = parseFunctionResponse(answer.payload);
    if ('response' in parsed) return parsed.response;
    return this.#failed(exchange, 500, `the function's answer has ${parsed.malformed}`);
  }

  #failed(exchange: Exchange, status: 500 | 503, detail: string): HttpResponse {
    exchange.notes.integrationErrorMessage = detail;
    this.#deps.log.warn('an integration failed', { requestId: exchange.requestId, status, detail });
    return gatewayResponse(status, status === 503 ? 'Service Unavailable' : 'Internal Server Error');
  }

  #accessOf(exchange: Exchange, response: HttpResponse) {
    const { incoming, stage, timeEpoch, requestId, url } = exchange;
    const integrationLatency = exchange.notes.integrationLatency;
    return {
      accountId: this.#deps.accountId,
      apiId: this.#definition.apiId,
      domainName: this.#deps.domainName,
      httpMethod: incoming.method,
      'identity.sourceIp': incoming.socket.remoteAddress,
      'identity.userAgent': incoming.headers['user-agent'],
      path: url.pathname,
      protocol: `HTTP/${incoming.httpVersion}`,
      requestId,
      extendedRequestId: requestId,
      requestTime: requestTime(timeEpoch),
      requestTimeEpoch: timeEpoch,
      responseLatency: this.#deps.clock.now() - timeEpoch,
      responseLength: response.body.length,
      stage: stage.name,
      status: response.status,
      'integration.latency': integrationLatency,
      ...exchange.notes,
    };
  }
}

const httpRequestOf = ({ incoming, url }: Exchange, body: Buffer): HttpRequest => ({
  method: incoming.method ?? 'GET',
  path: url.pathname,
  rawQueryString: url.search.slice(1),
  rawHeaders: incoming.rawHeaders,
  body,
  sourceIp: incoming.socket.remoteAddress ?? '127.0.0.1',
  protocol: `HTTP/${incoming.httpVersion}`,
});

const send = (
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  response: HttpResponse,
  requestId: string,
): void => {
  // An unread rest of the body would be parsed as the next request on this connection.
  if (!incoming.complete) outgoing.setHeader('connection', 'close');
  if (response.cookies.length > 0) outgoing.setHeader('set-cookie', [...response.cookies]);
  outgoing.writeHead(response.status, {
    ...response.headers,
    'content-length': String(response.body.length),
    'apigw-requestid': requestId,
  });
  outgoing.end(response.body);
};
