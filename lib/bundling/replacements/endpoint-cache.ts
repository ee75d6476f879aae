/**
 * Stands in a bundle for `@aws-sdk/endpoint-cache`, which remembers what endpoint discovery found, and with its LRU
 * cache is 8 KB. The DynamoDB client makes one whether it will be used or not; discovery is off unless it is asked for
 * by configuration, and the functions don't.
 */
export class EndpointCache {}
