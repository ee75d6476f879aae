/**
 * The HTTP response for a function's result (payload format 2.0).
 * @see https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
 */
export interface HttpResponse {
  readonly status: number;
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string>>;
  readonly cookies: readonly string[];
  readonly body: Buffer;
}

/** A response from API Gateway itself. */
export const gatewayResponse = (
  status: number,
  message: string,
  headers: Readonly<Record<string, string>> = {},
): HttpResponse => ({
  status,
  headers: { 'content-type': 'application/json', ...headers },
  cookies: [],
  body: Buffer.from(JSON.stringify({ message })),
});

type Parsed = { readonly response: HttpResponse } | { readonly malformed: string };

/** Without statusCode API Gateway infers 200, `application/json`, and the whole result as the body. */
const inferred = (answer: unknown): HttpResponse => ({
  status: 200,
  headers: { 'content-type': 'application/json' },
  cookies: [],
  body: Buffer.from(typeof answer === 'string' ? answer : (JSON.stringify(answer) ?? '')),
});

/** Headers between function and gateway, or set by the gateway. */
const NOT_PASSED_ON = new Set(['connection', 'content-length', 'keep-alive', 'transfer-encoding', 'upgrade']);

const headersOf = (given: unknown): Record<string, string> | undefined => {
  if (given === undefined || given === null) return {};
  if (typeof given !== 'object' || Array.isArray(given)) return undefined;
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(given)) {
    if (typeof value === 'object') return undefined;
    if (!NOT_PASSED_ON.has(name.toLowerCase())) headers[name.toLowerCase()] = String(value);
  }
  return headers;
};

const statusOf = (given: unknown): number | undefined => {
  const status = typeof given === 'string' ? Number(given) : given;
  const isStatus = typeof status === 'number' && Number.isInteger(status) && status >= 100 && status <= 599;
  return isStatus ? status : undefined;
};

const explicit = (answer: Readonly<Record<string, unknown>>): Parsed => {
  const status = statusOf(answer.statusCode);
  const headers = headersOf(answer.headers);
  const { body = '', cookies = [], isBase64Encoded = false } = answer;
  if (status === undefined) return { malformed: 'the wrong type for field "statusCode"' };
  if (headers === undefined) return { malformed: 'the wrong type for field "headers"' };
  if (typeof body !== 'string' && body !== null) return { malformed: 'the wrong type for field "body"' };
  if (!Array.isArray(cookies)) return { malformed: 'the wrong type for field "cookies"' };
  return {
    response: {
      status,
      headers: { ...(body ? { 'content-type': 'text/plain;charset=UTF-8' } : {}), ...headers },
      cookies: cookies.map(String),
      body: Buffer.from(body ?? '', isBase64Encoded === true ? 'base64' : 'utf8'),
    },
  };
};

/** @param payload the function's result as JSON text */
export const parseFunctionResponse = (payload: string): Parsed => {
  let answer: unknown;
  try {
    answer = JSON.parse(payload);
  } catch {
    return { malformed: 'no JSON' };
  }
  if (typeof answer === 'object' && answer !== null && !Array.isArray(answer) && 'statusCode' in answer)
    return explicit(answer as Readonly<Record<string, unknown>>);
  return { response: inferred(answer) };
};
