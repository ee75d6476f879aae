/**
 * The local issuer's name. It stands in the synthesized template and in every token, so it is a name and not an
 * address: neither changes with the port. The embedded API Gateway knows where the name is served.
 */
export const LOCAL_ISSUER = 'http://oidc.bulkhead.localhost';
export const LOCAL_AUDIENCE = 'bulkhead';
/** Under which path of the API's port the issuer is served. */
export const ISSUER_PREFIX = '/oidc';
