/**
 * The events that API Gateway passes to the functions behind a WebSocket API.
 * @see https://docs.aws.amazon.com/apigateway/latest/developerguide/websocket-api-develop-integrations-lambda.html
 */
import type { IncomingMessage } from 'node:http';
import { requestTime } from '../api-gateway/request-ids.ts';

/** Facts that are constant for a connection. */
export interface ConnectionFacts {
  readonly connectionId: string;
  /** Milliseconds since 1970. */
  readonly connectedAt: number;
  readonly identity: { readonly sourceIp: string; readonly userAgent?: string };
  readonly apiId: string;
  readonly domainName: string;
  readonly stage: string;
  readonly stageVariables: Readonly<Record<string, string>>;
}

export interface EventMoment {
  readonly requestId: string;
  /** Milliseconds since 1970. */
  readonly time: number;
}

export type AuthorizerContext = Readonly<Record<string, string | number>>;

/** Headers, query string: each name with its last value, and with all of them. */
export interface Handshake {
  readonly headers: Readonly<Record<string, string>>;
  readonly multiValueHeaders: Readonly<Record<string, readonly string[]>>;
  readonly queryStringParameters?: Readonly<Record<string, string>>;
  readonly multiValueQueryStringParameters?: Readonly<Record<string, readonly string[]>>;
}

const collect = (pairs: Iterable<readonly [string, string]>) => {
  const multi = new Map<string, string[]>();
  for (const [name, value] of pairs) multi.set(name, [...(multi.get(name) ?? []), value]);
  const single = [...multi].map(([name, values]) => [name, values.at(-1) ?? ''] as const);
  return { single: Object.fromEntries(single), multi: Object.fromEntries(multi), size: multi.size };
};

function* headerPairs(
  request: IncomingMessage,
  facts: ConnectionFacts,
): Generator<readonly [string, string]> {
  for (let index = 0; index + 1 < request.rawHeaders.length; index += 2)
    yield [request.rawHeaders[index] ?? '', request.rawHeaders[index + 1] ?? ''];
  yield ['X-Forwarded-For', facts.identity.sourceIp];
  yield ['X-Forwarded-Port', facts.domainName.split(':')[1] ?? '80'];
  yield ['X-Forwarded-Proto', 'http'];
}

export const handshakeOf = (request: IncomingMessage, url: URL, facts: ConnectionFacts): Handshake => {
  const headers = collect(headerPairs(request, facts));
  const query = collect(url.searchParams);
  return {
    headers: headers.single,
    multiValueHeaders: headers.multi,
    ...(query.size === 0
      ? {}
      : { queryStringParameters: query.single, multiValueQueryStringParameters: query.multi }),
  };
};

const contextOf = (facts: ConnectionFacts, moment: EventMoment, routeKey: string, eventType: string) => ({
  routeKey,
  eventType,
  extendedRequestId: moment.requestId,
  requestTime: requestTime(moment.time),
  messageDirection: 'IN',
  stage: facts.stage,
  connectedAt: facts.connectedAt,
  requestTimeEpoch: moment.time,
  identity: facts.identity,
  requestId: moment.requestId,
  domainName: facts.domainName,
  connectionId: facts.connectionId,
  apiId: facts.apiId,
});

const authorizerOf = (authorizer: AuthorizerContext | undefined) =>
  authorizer === undefined ? {} : { authorizer };

const variablesOf = (facts: ConnectionFacts) =>
  Object.keys(facts.stageVariables).length === 0 ? {} : { stageVariables: facts.stageVariables };

/** For a Lambda authorizer of type REQUEST. @param methodArn the ARN of the `$connect` route */
export const authorizerEvent = (
  facts: ConnectionFacts,
  moment: EventMoment,
  handshake: Handshake,
  methodArn: string,
): Record<string, unknown> => ({
  type: 'REQUEST',
  methodArn,
  queryStringParameters: {},
  multiValueQueryStringParameters: {},
  ...handshake,
  stageVariables: facts.stageVariables,
  requestContext: contextOf(facts, moment, '$connect', 'CONNECT'),
});

export const connectEvent = (
  facts: ConnectionFacts,
  moment: EventMoment,
  handshake: Handshake,
  authorizer: AuthorizerContext | undefined,
): Record<string, unknown> => ({
  ...handshake,
  ...variablesOf(facts),
  requestContext: { ...authorizerOf(authorizer), ...contextOf(facts, moment, '$connect', 'CONNECT') },
  isBase64Encoded: false,
});

export const messageEvent = (
  facts: ConnectionFacts,
  moment: EventMoment,
  authorizer: AuthorizerContext | undefined,
  message: { readonly routeKey: string; readonly messageId: string; readonly body: string },
): Record<string, unknown> => ({
  ...variablesOf(facts),
  requestContext: {
    ...authorizerOf(authorizer),
    messageId: message.messageId,
    ...contextOf(facts, moment, message.routeKey, 'MESSAGE'),
  },
  body: message.body,
  isBase64Encoded: false,
});

export const disconnectEvent = (
  facts: ConnectionFacts,
  moment: EventMoment,
  authorizer: AuthorizerContext | undefined,
  end: { readonly code: number; readonly reason: string },
): Record<string, unknown> => {
  const headers = { Host: facts.domainName, 'x-api-key': '', 'X-Forwarded-For': '', 'x-restapi': '' };
  return {
    headers,
    multiValueHeaders: Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, [value]])),
    ...variablesOf(facts),
    requestContext: {
      ...authorizerOf(authorizer),
      disconnectStatusCode: end.code,
      disconnectReason: end.reason,
      ...contextOf(facts, moment, '$disconnect', 'DISCONNECT'),
    },
    isBase64Encoded: false,
  };
};
