import { SignJWT } from 'jose';
import { LOCAL_AUDIENCE, LOCAL_ISSUER } from './names.ts';
import type { SigningKey } from './signing-key.ts';

export interface TokenRequest {
  readonly tenant: string;
  readonly scopes: readonly string[];
  readonly subject: string;
  readonly expiresInSeconds: number;
}

export interface TokenDeps {
  readonly key: SigningKey;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly newId: () => string;
}

/** An access token of the local issuer, as an OIDC provider would give it to a client of the API. */
export const issueToken = (deps: TokenDeps, request: TokenRequest): Promise<string> => {
  const issuedAt = Math.floor(deps.now() / 1000);
  return new SignJWT({ tenant: request.tenant, scope: request.scopes.join(' ') })
    .setProtectedHeader({ alg: 'RS256', typ: 'JWT', kid: deps.key.keyId })
    .setIssuer(LOCAL_ISSUER)
    .setAudience(LOCAL_AUDIENCE)
    .setSubject(request.subject)
    .setIssuedAt(issuedAt)
    .setExpirationTime(issuedAt + request.expiresInSeconds)
    .setJti(deps.newId())
    .sign(deps.key.privateKey);
};
