/**
 * Signature Version 4, as AWS's endpoints verify it.
 *
 * @see https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
 */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { ServiceError } from '../errors.ts';
import type { Credentials } from './credentials.ts';

export interface SignedRequest {
  readonly method: string;
  /** Path and query, as in the request line. */
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

interface Authorization {
  readonly accessKeyId: string;
  readonly date: string;
  readonly region: string;
  readonly service: string;
  readonly signedHeaders: readonly string[];
  readonly signature: string;
}

/** Maximum clock difference of a signature, as in AWS. */
const toleranceMs = 15 * 60_000;

const forbidden = 403;
const refuse = (code: string, message: string): ServiceError => new ServiceError(code, message, forbidden);
const invalid = (why: string) => refuse('InvalidSignatureException', why);

const authorizationPattern =
  /^AWS4-HMAC-SHA256 Credential=([^/\s,]+)\/(\d{8})\/([^/\s,]+)\/([^/\s,]+)\/aws4_request,\s*SignedHeaders=([a-z0-9;-]+),\s*Signature=([0-9a-f]{64})$/;

const parseAuthorization = (header: string | undefined): Authorization => {
  const [, accessKeyId, date, region, service, signedHeaders, signature] =
    authorizationPattern.exec(header ?? '') ?? [];
  if (accessKeyId === undefined || signature === undefined)
    throw refuse(
      'MissingAuthenticationTokenException',
      'Request is missing Authentication Token: sign it with the credentials in .bulkhead/local.json',
    );
  return {
    ...{ accessKeyId, signature, date: date ?? '', region: region ?? '', service: service ?? '' },
    signedHeaders: (signedHeaders ?? '').split(';'),
  };
};

const hash = (data: Buffer | string): string => createHash('sha256').update(data).digest('hex');
const hmac = (key: Buffer | string, text: string): Buffer => createHmac('sha256', key).update(text).digest();

/** RFC 3986: `encodeURIComponent` leaves five more characters unescaped. */
const encode = (text: string): string =>
  encodeURIComponent(text).replace(/[!'()*]/g, (one) => `%${one.charCodeAt(0).toString(16).toUpperCase()}`);

const canonicalPath = (path: string): string => encode(path).replaceAll('%2F', '/');

const canonicalQuery = (query: string): string =>
  [...new URLSearchParams(query)]
    .map(([name, value]) => `${encode(name)}=${encode(value)}`)
    .sort()
    .join('&');

const headerOf = (headers: IncomingHttpHeaders, name: string): string =>
  [headers[name] ?? ''].flat().join(',').trim().replace(/\s+/g, ' ');

const canonicalRequest = (
  { method, url, headers, body }: SignedRequest,
  signedHeaders: readonly string[],
): string => {
  const [path = '/', query = ''] = url.split('?', 2);
  return [
    method,
    canonicalPath(path),
    canonicalQuery(query),
    ...signedHeaders.map((name) => `${name}:${headerOf(headers, name)}`),
    '',
    signedHeaders.join(';'),
    hash(body),
  ].join('\n');
};

const signatureOf = (request: SignedRequest, authorization: Authorization, secret: string): Buffer => {
  const { date, region, service, signedHeaders } = authorization;
  const scope = `${date}/${region}/${service}/aws4_request`;
  const text = [
    'AWS4-HMAC-SHA256',
    headerOf(request.headers, 'x-amz-date'),
    scope,
    hash(canonicalRequest(request, signedHeaders)),
  ].join('\n');
  const key = [date, region, service, 'aws4_request'].reduce<Buffer | string>(hmac, `AWS4${secret}`);
  return hmac(key, text);
};

/** `20261129T010203Z` in milliseconds since 1970; NaN for anything else. */
const parseDate = (text: string): number =>
  Date.parse(text.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z'));

/** Every header that affects the meaning of the request must be signed. */
const checkSignedHeaders = (headers: IncomingHttpHeaders, signed: readonly string[]): void => {
  const needed = ['host', ...Object.keys(headers).filter((name) => name.startsWith('x-amz-'))];
  const missing = needed.find((name) => !signed.includes(name));
  if (missing !== undefined) throw invalid(`the header ${missing} must be signed`);
};

/** @throws ServiceError with AWS's codes for a request that the credentials did not sign */
export const verifySignature = (
  request: SignedRequest,
  { accessKeyId, secretAccessKey }: Credentials,
  nowMs: number,
): void => {
  const authorization = parseAuthorization(request.headers.authorization);
  if (authorization.accessKeyId !== accessKeyId)
    throw refuse(
      'UnrecognizedClientException',
      'The security token included in the request is invalid: use the credentials in .bulkhead/local.json',
    );
  checkSignedHeaders(request.headers, authorization.signedHeaders);
  const date = headerOf(request.headers, 'x-amz-date');
  if (!date.startsWith(authorization.date) || !(Math.abs(parseDate(date) - nowMs) <= toleranceMs))
    throw invalid('Signature expired, or not yet current');
  const expected = signatureOf(request, authorization, secretAccessKey);
  if (!timingSafeEqual(expected, Buffer.from(authorization.signature, 'hex')))
    throw invalid('The request signature we calculated does not match the signature you provided.');
};
