/**
 * List prices in USD of the Region us-east-1, of November 2026, from AWS's pricing pages of each service. Free tiers and
 * discounts are not included.
 */
export const PRICES_OF = 'November 2026, us-east-1';

const MILLION = 1_000_000;

export const PRICES = {
  /** DynamoDB on demand. */
  writeUnit: 0.625 / MILLION,
  readUnit: 0.125 / MILLION,
  /** Lambda on arm64. */
  invocation: 0.2 / MILLION,
  gigabyteSecond: 0.0000133334,
  /** Step Functions, standard workflows. */
  transition: 25 / MILLION,
  /** API Gateway. */
  httpRequest: 1 / MILLION,
  webSocketMessage: 1 / MILLION,
  connectionMinute: 0.25 / MILLION,
  /** EventBridge, custom events. */
  event: 1 / MILLION,
} as const;
