/**
 * The local issuer's name. It is part of the synthesized template and of every token, so it is a name instead of an
 * address, which would change with the port. The embedded API Gateway maps the name to the local URL.
 */
export const LOCAL_ISSUER = 'http://oidc.bulkhead.localhost';
export const LOCAL_AUDIENCE = 'bulkhead';
/** Path of the issuer on the API's port. */
export const ISSUER_PREFIX = '/oidc';
