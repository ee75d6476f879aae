import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Mount } from '../api-gateway/listener.ts';
import { ISSUER_PREFIX, LOCAL_ISSUER } from './names.ts';
import type { SigningKey } from './signing-key.ts';

const answer = (response: ServerResponse, status: number, document: unknown): true => {
  response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'public, max-age=60' });
  response.end(JSON.stringify(document));
  return true;
};

/** The documents of OpenID Connect Discovery 1.0 that a validator of tokens needs. */
const documents = (key: SigningKey, base: string): Readonly<Record<string, unknown>> => ({
  '/.well-known/openid-configuration': {
    issuer: LOCAL_ISSUER,
    jwks_uri: `${base}/.well-known/jwks.json`,
    id_token_signing_alg_values_supported: ['RS256'],
    response_types_supported: ['token'],
    subject_types_supported: ['public'],
  },
  '/.well-known/jwks.json': { keys: [key.publicJwk] },
});

/** The local OIDC issuer on the port of the API. It publishes keys; it does not issue tokens over HTTP. */
export const createIssuerMount = (key: SigningKey): Mount => ({
  prefix: ISSUER_PREFIX,
  issuer: LOCAL_ISSUER,
  handle: (request: IncomingMessage, response: ServerResponse) => {
    const base = `http://${request.headers.host ?? '127.0.0.1'}${ISSUER_PREFIX}`;
    const path = (request.url ?? '').slice(ISSUER_PREFIX.length).replace(/\?.*$/, '');
    const document = documents(key, base)[path];
    if (document === undefined) return answer(response, 404, { error: 'not_found' });
    return answer(response, 200, document);
  },
});
