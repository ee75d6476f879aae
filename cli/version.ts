/** Set by the bundler from package.json; undefined in a checkout. */
declare const BULKHEAD_CLI_VERSION: string | undefined;

export const VERSION = typeof BULKHEAD_CLI_VERSION === 'string' ? BULKHEAD_CLI_VERSION : '0.1.0';
