/**
 * Replaces `@aws-sdk/endpoint-cache`, which caches the results of endpoint discovery and is 8 KB with its LRU cache. The
 * DynamoDB client always creates one, but discovery is off by default and the functions do not turn it on.
 */
export class EndpointCache {}
