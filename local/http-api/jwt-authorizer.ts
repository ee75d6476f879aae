/**
 * The JWT authorizer of HTTP APIs, with the same checks as in AWS.
 * @see https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-jwt-authorizer.html
 */
import { compactVerify, decodeJwt, decodeProtectedHeader, type JWTPayload } from 'jose';
import type { JwtAuthorizerDefinition } from '../api-gateway/definition.ts';
import type { Clock } from '../engine.ts';
import { IssuerUnreachableError, KeySet } from './key-set.ts';
import type { JwtContext } from './request-event.ts';

export interface TokenSource {
  header(name: string): string | undefined;
  query(name: string): string | undefined;
}

export type JwtDecision =
  | { readonly allowed: true; readonly context: JwtContext }
  | { readonly allowed: false; readonly status: 401 | 403; readonly wwwAuthenticate: string };

const RSA = ['RS256', 'RS384', 'RS512'];

const refused = (description: string): JwtDecision => ({
  allowed: false,
  status: 401,
  wwwAuthenticate: `Bearer scope="" error="invalid_token" error_description="${description}"`,
});

const tokenOf = (identitySources: readonly string[], source: TokenSource): string | undefined => {
  const [, place, name] =
    /^\$request\.(header|querystring)\.(.+)$/.exec(identitySources[0] ?? '$request.header.Authorization') ??
    [];
  if (name === undefined) return undefined;
  const value = place === 'header' ? source.header(name.toLowerCase()) : source.query(name);
  return value?.replace(/^Bearer /i, '').trim() || undefined;
};

const scopesOf = ({ scope, scp }: JWTPayload): readonly string[] => {
  const given = scope ?? scp;
  if (Array.isArray(given)) return given.map(String);
  return typeof given === 'string' ? given.split(' ').filter((one) => one !== '') : [];
};

/** As measured on AWS: every claim is a string, a list is `[a b]`, null is omitted. */
const claimText = (value: unknown): string => {
  if (Array.isArray(value)) return `[${value.map(claimText).join(' ')}]`;
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
};

const claimsOf = (payload: JWTPayload): Record<string, string> =>
  Object.fromEntries(
    Object.entries(payload)
      .filter(([, value]) => value !== null)
      .map(([name, value]) => [name, claimText(value)]),
  );

/** `client_id` is used only without `aud`. */
const isForAudience = (payload: JWTPayload, audience: readonly string[]): boolean => {
  const given = payload.aud ?? payload.client_id;
  const values = Array.isArray(given) ? given : [given];
  return values.some((one) => typeof one === 'string' && audience.includes(one));
};

/** The error in the claims, or undefined. @param now seconds since 1970 */
const problemOf = (
  payload: JWTPayload,
  { issuer, audience }: JwtAuthorizerDefinition,
  now: number,
): string | undefined => {
  if (payload.iss !== issuer) return 'the token has an invalid issuer';
  if (!isForAudience(payload, audience)) return 'the token does not have a valid audience';
  if (typeof payload.exp !== 'number' || payload.exp <= now) return 'the token has expired';
  if (typeof payload.nbf === 'number' && payload.nbf > now) return 'the token is not valid yet';
  if (typeof payload.iat === 'number' && payload.iat > now) return 'the token was issued in the future';
  return undefined;
};

const decode = (token: string) => {
  try {
    return { header: decodeProtectedHeader(token), payload: decodeJwt(token) };
  } catch {
    return undefined;
  }
};

/** One of the route's scopes is enough. The function gets the matching ones, or null if the route has none. */
const authorize = (payload: JWTPayload, wanted: readonly string[]): JwtDecision => {
  const given = scopesOf(payload);
  const matched = wanted.filter((scope) => given.includes(scope));
  if (wanted.length > 0 && matched.length === 0)
    return {
      allowed: false,
      status: 403,
      wwwAuthenticate: `Bearer scope="${wanted.join(' ')}" error="insufficient_scope" error_description="the token does not have the required scopes"`,
    };
  const scopes = wanted.length === 0 ? null : matched;
  return { allowed: true, context: { jwt: { claims: claimsOf(payload), scopes } } };
};

export class JwtAuthorizer {
  readonly #definition: JwtAuthorizerDefinition;
  readonly #clock: Clock;
  readonly #keys: KeySet;

  /** @param location URL of the issuer's keys */
  constructor(definition: JwtAuthorizerDefinition, clock: Clock, location: string) {
    this.#definition = definition;
    this.#clock = clock;
    this.#keys = new KeySet(location, clock);
  }

  /** @param scopes the route's scopes, of which the token must have one */
  async decide(source: TokenSource, scopes: readonly string[]): Promise<JwtDecision> {
    const token = tokenOf(this.#definition.identitySources, source);
    if (token === undefined) return { allowed: false, status: 401, wwwAuthenticate: 'Bearer' };
    const decoded = decode(token);
    if (decoded === undefined) return refused('the token is malformed');
    const { alg, kid } = decoded.header;
    if (!RSA.includes(alg ?? '')) return refused(`signing method ${alg} is invalid`);
    const unsigned = await this.#signatureProblem(token, kid ?? '');
    if (unsigned !== undefined) return refused(unsigned);
    const problem = problemOf(decoded.payload, this.#definition, Math.floor(this.#clock.now() / 1000));
    return problem === undefined ? authorize(decoded.payload, scopes) : refused(problem);
  }

  async #signatureProblem(token: string, keyId: string): Promise<string | undefined> {
    try {
      const key = await this.#keys.find(keyId);
      if (key === undefined) return 'unable to find a key for the token';
      await compactVerify(token, key, { algorithms: RSA });
      return undefined;
    } catch (error) {
      return error instanceof IssuerUnreachableError
        ? 'OIDC discovery endpoint communication error'
        : 'the signature is invalid';
    }
  }
}
