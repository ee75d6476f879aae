/**
 * The event of payload format 2.0, as API Gateway passes it to a function.
 * @see https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
 */
import { requestTime } from '../api-gateway/request-ids.ts';

export interface HttpRequest {
  readonly method: string;
  /** Percent-encoded, with the stage's name for a named stage. */
  readonly path: string;
  readonly rawQueryString: string;
  /** Name, value, name, value, as they arrived. */
  readonly rawHeaders: readonly string[];
  readonly body: Buffer;
  readonly sourceIp: string;
  readonly protocol: string;
}

export interface RequestSurroundings {
  readonly accountId: string;
  readonly apiId: string;
  readonly domainName: string;
  readonly stage: string;
  readonly stageVariables: Readonly<Record<string, string>>;
  readonly routeKey: string;
  readonly pathParameters: Readonly<Record<string, string>>;
  readonly requestId: string;
  readonly timeEpoch: number;
  readonly authorizer?: JwtContext;
}

/** The claims of a validated token for a function: every value is a string. */
export interface JwtContext {
  readonly jwt: {
    readonly claims: Readonly<Record<string, string>>;
    readonly scopes: readonly string[] | null;
  };
}

/** Measured on AWS: these arrive as text; everything else (no content type, form data) as base64. */
const TEXT_TYPES = /^(text\/.*|application\/(json|xml|javascript))$/i;

export const isTextType = (contentType: string | undefined): boolean =>
  TEXT_TYPES.test(contentType?.split(';')[0]?.trim() ?? '');

/** Names in lower case; values of a repeated one joined by commas. */
export const joinHeaders = (rawHeaders: readonly string[]): Map<string, string> => {
  const headers = new Map<string, string>();
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    const name = (rawHeaders[index] ?? '').toLowerCase();
    const value = rawHeaders[index + 1] ?? '';
    const earlier = headers.get(name);
    headers.set(name, earlier === undefined ? value : `${earlier},${value}`);
  }
  return headers;
};

/** Headers that clients cannot set, or that apply only between client and gateway. */
const NOT_PASSED_ON = ['cookie', 'connection', 'keep-alive', 'transfer-encoding', 'upgrade', 'te'];

const headersOf = (request: HttpRequest, headers: ReadonlyMap<string, string>, host: string) => {
  const passed = [...headers].filter(([name]) => !NOT_PASSED_ON.includes(name));
  const forwarded = headers.get('x-forwarded-for');
  return {
    ...Object.fromEntries(passed),
    'content-length': String(request.body.length),
    'x-forwarded-for': forwarded === undefined ? request.sourceIp : `${forwarded}, ${request.sourceIp}`,
    'x-forwarded-port': host.split(':')[1] ?? '80',
    'x-forwarded-proto': 'http',
  };
};

const cookiesOf = (headers: ReadonlyMap<string, string>): readonly string[] =>
  (headers.get('cookie') ?? '')
    .split(/[;,]\s*/)
    .map((cookie) => cookie.trim())
    .filter((cookie) => cookie !== '');

const queryOf = (rawQueryString: string): Record<string, string> => {
  const joined = new Map<string, string>();
  for (const [name, value] of new URLSearchParams(rawQueryString)) {
    const earlier = joined.get(name);
    joined.set(name, earlier === undefined ? value : `${earlier},${value}`);
  }
  return Object.fromEntries(joined);
};

const bodyOf = (request: HttpRequest, headers: ReadonlyMap<string, string>) => {
  if (request.body.length === 0) return { isBase64Encoded: false };
  const isText = isTextType(headers.get('content-type'));
  return { body: request.body.toString(isText ? 'utf8' : 'base64'), isBase64Encoded: !isText };
};

/** HTTP APIs pass the path decoded, unlike REST APIs. */
const decodedPath = (path: string): string => {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
};

const unlessEmpty = <T extends object>(name: string, value: T) =>
  Object.keys(value).length === 0 ? {} : { [name]: value };

/** Members without a value are omitted from the event. */
export const requestEvent = (request: HttpRequest, about: RequestSurroundings): Record<string, unknown> => {
  const headers = joinHeaders(request.rawHeaders);
  const path = decodedPath(request.path);
  return {
    version: '2.0',
    routeKey: about.routeKey,
    rawPath: path,
    rawQueryString: request.rawQueryString,
    ...unlessEmpty('cookies', cookiesOf(headers)),
    headers: headersOf(request, headers, about.domainName),
    ...unlessEmpty('queryStringParameters', queryOf(request.rawQueryString)),
    requestContext: {
      accountId: about.accountId,
      apiId: about.apiId,
      ...(about.authorizer === undefined ? {} : { authorizer: about.authorizer }),
      domainName: about.domainName,
      domainPrefix: about.domainName.split('.')[0],
      http: {
        method: request.method,
        path,
        protocol: request.protocol,
        sourceIp: request.sourceIp,
        userAgent: headers.get('user-agent') ?? '',
      },
      requestId: about.requestId,
      routeKey: about.routeKey,
      stage: about.stage,
      time: requestTime(about.timeEpoch),
      timeEpoch: about.timeEpoch,
    },
    ...unlessEmpty('pathParameters', about.pathParameters),
    ...unlessEmpty('stageVariables', about.stageVariables),
    ...bodyOf(request, headers),
  };
};
