import type { IncomingMessage, ServerResponse } from 'node:http';
import { STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';
import { type AccessLog, openAccessLog } from '../api-gateway/access-log.ts';
import type {
  ApiDefinition,
  ApiGatewayLimits,
  RouteDefinition,
  StageDefinition,
} from '../api-gateway/definition.ts';
import { invokeInTime } from '../api-gateway/invoke-in-time.ts';
import { shortId } from '../api-gateway/request-ids.ts';
import { StageThrottle } from '../api-gateway/stage-throttle.ts';
import type { Chaos } from '../chaos.ts';
import type { CloudContext } from '../engine.ts';
import { accessValues } from './access-values.ts';
import { Connection, type ConnectionEnd } from './connection.ts';
import {
  type AuthorizerContext,
  authorizerEvent,
  type ConnectionFacts,
  connectEvent,
  disconnectEvent,
  type EventMoment,
  type Handshake,
  handshakeOf,
  messageEvent,
} from './events.ts';
import { serveManagement } from './management-api.ts';
import type { AuthorizerDecision } from './policy.ts';
import { parseProxyResponse } from './proxy-response.ts';
import { type Refusal, refuse } from './refusal.ts';
import { askAuthorizer, hasIdentity, UNAUTHORIZED } from './request-authorizer.ts';
import { selectRoute } from './route-selection.ts';

export type WebSocketApiDeps = Pick<
  CloudContext,
  'accountId' | 'clock' | 'credentials' | 'functions' | 'log' | 'newId' | 'partition' | 'region' | 'stateDir'
> & {
  readonly limits: ApiGatewayLimits;
  readonly chaos: Chaos;
  /** Host and port of the API. */
  readonly domainName: string;
};

/** How long chaos delays a message, in milliseconds. */
const OVERTAKEN_MS = 15;

const TOO_MANY = 'Too Many Requests';

/** A client whose handshake is in progress. */
interface Candidate {
  readonly request: IncomingMessage;
  readonly facts: ConnectionFacts;
  readonly handshake: Handshake;
  readonly stage: StageDefinition;
}

interface Accepted {
  readonly authorizer: AuthorizerContext | undefined;
  readonly subprotocol: string | undefined;
}

/**
 * One WebSocket API of API Gateway.
 *
 * Connect: check the identity sources (401) → invoke the authorizer (401, 403, 500) → invoke the function behind
 * `$connect` (its status, 502 on failure, 504 on timeout) → open the socket. `@connections` works only from then on.
 * Messages go to functions concurrently, and beyond the limits of the stage to none. At the end of a connection `$disconnect` is called once.
 */
export class WebSocketApi {
  readonly #definition: ApiDefinition;
  readonly #deps: WebSocketApiDeps;
  readonly #server: WebSocketServer;
  readonly #open = new Map<string, Connection>();
  readonly #subprotocols = new WeakMap<IncomingMessage, string>();
  readonly #accessLogs = new Map<string, AccessLog>();
  readonly #throttles = new Map<string, StageThrottle>();
  /** Pending calls of `$disconnect`. */
  readonly #farewells = new Set<Promise<void>>();

  constructor(definition: ApiDefinition, deps: WebSocketApiDeps) {
    this.#definition = definition;
    this.#deps = deps;
    this.#server = new WebSocketServer({
      noServer: true,
      maxPayload: deps.limits.webSocketMessageBytes,
      perMessageDeflate: false,
      handleProtocols: (_, request) => this.#subprotocols.get(request) ?? false,
    });
    for (const stage of definition.stages) {
      this.#accessLogs.set(stage.name, openAccessLog(stage, deps.stateDir));
      this.#throttles.set(stage.name, new StageThrottle(stage.throttling, deps.clock));
    }
  }

  /** Serves `@connections`. @returns whether the request was for it */
  handle(request: IncomingMessage, response: ServerResponse): Promise<boolean> {
    const find = (stage: string, id: string): Connection | undefined => {
      const connection = this.#open.get(id);
      return connection?.isOpen && connection.facts.stage === stage ? connection : undefined;
    };
    const { limits, credentials } = this.#deps;
    const deps = { find, credentials, limitBytes: limits.webSocketMessageBytes };
    return serveManagement(deps, request, response);
  }

  async upgrade(request: IncomingMessage, raw: Duplex, head: Buffer): Promise<void> {
    // A client may disconnect while the functions run.
    raw.on('error', () => undefined);
    const candidate = this.#candidate(request);
    if (candidate === undefined) return refuse(raw, { status: 403, message: 'Forbidden' });
    const outcome = await this.#admit(candidate).catch((error: unknown): Refusal => {
      this.#deps.log.error('the WebSocket API failed', { error: String(error) });
      return { status: 500, message: 'Internal server error' };
    });
    this.#logAccess(candidate.facts, '$connect', 'status' in outcome ? outcome.status : 200);
    if ('status' in outcome) return refuse(raw, outcome);
    if (outcome.subprotocol !== undefined) this.#subprotocols.set(request, outcome.subprotocol);
    if (raw.destroyed) {
      this.#sayFarewell(candidate.facts, outcome.authorizer, {
        code: 1006,
        reason: 'Connection Closed Abnormally',
      });
      return;
    }
    this.#server.handleUpgrade(request, raw, head, (socket) =>
      this.#welcome(candidate.facts, outcome.authorizer, socket, raw),
    );
  }

  /** Ends every connection and waits, for at most `waitMs`, until `$disconnect` has been called for each. */
  async close(waitMs: number): Promise<void> {
    for (const connection of this.#open.values()) connection.end({ code: 1001, reason: 'Going away' });
    const waited = Promise.withResolvers<void>();
    const cancel = this.#deps.clock.after(waitMs, () => waited.resolve());
    const settled = (async () => {
      while (this.#open.size > 0) await new Promise((resolve) => setTimeout(resolve, 10));
      await Promise.all(this.#farewells);
    })();
    await Promise.race([settled, waited.promise]);
    cancel();
    for (const connection of this.#open.values()) connection.terminate();
  }

  dispose(): void {
    for (const connection of this.#open.values()) connection.terminate();
    this.#server.close();
    for (const log of this.#accessLogs.values()) log.close();
  }

  #candidate(request: IncomingMessage): Candidate | undefined {
    const url = new URL(`http://${this.#deps.domainName}${request.url ?? '/'}`);
    const stage = this.#definition.stages.find(({ name }) => url.pathname.replace(/\/$/, '') === `/${name}`);
    if (stage === undefined) return undefined;
    const userAgent = request.headers['user-agent'];
    const facts: ConnectionFacts = {
      connectionId: shortId(this.#deps.newId()),
      connectedAt: this.#deps.clock.now(),
      identity: {
        ...(userAgent === undefined ? {} : { userAgent }),
        sourceIp: request.socket.remoteAddress ?? '127.0.0.1',
      },
      apiId: this.#definition.apiId,
      domainName: this.#deps.domainName,
      stage: stage.name,
      stageVariables: stage.variables,
    };
    return { request, facts, stage, handshake: handshakeOf(request, url, facts) };
  }

  async #admit(candidate: Candidate): Promise<Accepted | Refusal> {
    if (this.#isThrottled(candidate.facts, '$connect')) return { status: 429, message: TOO_MANY };
    const route = this.#route('$connect');
    if (route === undefined) return { authorizer: undefined, subprotocol: undefined };
    const began = this.#deps.clock.now();
    const decision = await this.#authorize(route, candidate);
    if (decision?.allowed === false) return decision;
    const integrationLatency = this.#deps.clock.now() - began;
    const authorizer = decision === undefined ? undefined : { ...decision.context, integrationLatency };
    const event = connectEvent(candidate.facts, this.#moment(), candidate.handshake, authorizer);
    const answer = await this.#call(route, event);
    if (answer.outcome === 'timed-out') return { status: 504, message: 'Endpoint request timed out' };
    const response = answer.outcome === 'answered' ? parseProxyResponse(answer.payload) : undefined;
    if (response === undefined) return { status: 502, message: 'Internal server error' };
    if (response.statusCode < 200 || response.statusCode > 299)
      return { status: response.statusCode, message: STATUS_CODES[response.statusCode] ?? 'Refused' };
    return { authorizer, subprotocol: response.headers['sec-websocket-protocol'] };
  }

  async #authorize(route: RouteDefinition, candidate: Candidate): Promise<AuthorizerDecision | undefined> {
    const { authorizer } = route;
    if (authorizer?.kind !== 'request') return undefined;
    if (!hasIdentity(authorizer.identitySources, candidate.handshake)) return UNAUTHORIZED;
    const { partition, region, accountId } = this.#deps;
    const resource = `arn:${partition}:execute-api:${region}:${accountId}:${this.#definition.apiId}/${candidate.stage.name}/$connect`;
    const event = authorizerEvent(candidate.facts, this.#moment(), candidate.handshake, resource);
    return await askAuthorizer(this.#deps, authorizer, {
      event,
      resource,
      timeoutMs: route.integration.timeoutMs,
    });
  }

  #welcome(
    facts: ConnectionFacts,
    authorizer: AuthorizerContext | undefined,
    socket: WebSocket,
    raw: Duplex,
  ): void {
    const connection = new Connection(
      facts,
      authorizer,
      { socket, raw },
      {
        clock: this.#deps.clock,
        limits: this.#deps.limits,
        onMessage: (from, body) => this.#take(from, body),
        onEnd: (ended, end) => {
          this.#open.delete(ended.facts.connectionId);
          this.#sayFarewell(facts, authorizer, end);
        },
      },
    );
    this.#open.set(facts.connectionId, connection);
  }

  /** Functions run in parallel, so messages may be reordered. Chaos repeats some, which receivers must tolerate. */
  #take(from: Connection, body: string): void {
    const { chaos, clock, log } = this.#deps;
    const deliver = () =>
      this.#dispatch(from, body).catch((error: unknown) =>
        log.error('the WebSocket API failed', { error: String(error) }),
      );
    if (chaos.reorders()) clock.after(OVERTAKEN_MS, deliver);
    else void deliver();
    if (chaos.duplicates()) void deliver();
  }

  async #dispatch(connection: Connection, body: string): Promise<void> {
    const { facts, authorizer } = connection;
    const moment = this.#moment();
    const route = selectRoute(this.#definition.routes, this.#definition.routeProperty, body);
    if (route === undefined) return this.#complain(connection, moment, 'Forbidden', 403);
    const { routeKey } = route;
    if (this.#isThrottled(facts, routeKey))
      return this.#complain(connection, moment, TOO_MANY, 429, routeKey);
    const messageId = shortId(this.#deps.newId());
    const event = messageEvent(facts, moment, authorizer, { routeKey, messageId, body });
    const answer = await this.#call(route, event);
    if (answer.outcome !== 'answered') {
      this.#deps.log.warn('an integration failed', { routeKey, detail: answer.detail });
      return this.#complain(connection, moment, 'Internal server error', 500, routeKey);
    }
    const response = parseProxyResponse(answer.payload);
    if (route.answers && response === undefined)
      return this.#complain(connection, moment, 'Internal server error', 500, routeKey);
    if (route.answers && response?.body !== undefined) await connection.send(Buffer.from(response.body));
    this.#logAccess(facts, routeKey, response?.statusCode ?? 200, moment);
  }

  /** API Gateway's message to a client whose message failed. */
  async #complain(
    connection: Connection,
    moment: EventMoment,
    message: string,
    status: number,
    routeKey = '-',
  ): Promise<void> {
    const { connectionId } = connection.facts;
    this.#logAccess(connection.facts, routeKey, status, moment);
    const complaint = { message, connectionId, requestId: moment.requestId };
    await connection.send(Buffer.from(JSON.stringify(complaint)));
  }

  #sayFarewell(facts: ConnectionFacts, authorizer: AuthorizerContext | undefined, end: ConnectionEnd): void {
    const route = this.#route('$disconnect');
    if (route === undefined) return;
    const farewell = this.#call(route, disconnectEvent(facts, this.#moment(), authorizer, end)).then(
      (answer) => {
        if (answer.outcome !== 'answered')
          this.#deps.log.warn('$disconnect failed', {
            connectionId: facts.connectionId,
            detail: answer.detail,
          });
        this.#logAccess(facts, '$disconnect', answer.outcome === 'answered' ? 200 : 500);
      },
    );
    this.#farewells.add(farewell);
    farewell.finally(() => this.#farewells.delete(farewell)).catch(() => undefined);
  }

  #isThrottled({ stage }: ConnectionFacts, routeKey: string): boolean {
    return this.#throttles.get(stage)?.admits(routeKey) === false;
  }

  #route(routeKey: string): RouteDefinition | undefined {
    return this.#definition.routes.find((route) => route.routeKey === routeKey);
  }

  #call(route: RouteDefinition, event: unknown) {
    const { functions, clock } = this.#deps;
    return invokeInTime(functions, clock, { ...route.integration, payload: JSON.stringify(event) });
  }

  #moment(): EventMoment {
    return { requestId: shortId(this.#deps.newId()), time: this.#deps.clock.now() };
  }

  #logAccess(facts: ConnectionFacts, routeKey: string, status: number, moment = this.#moment()): void {
    this.#accessLogs.get(facts.stage)?.write(accessValues(facts, moment, routeKey, status));
  }
}
