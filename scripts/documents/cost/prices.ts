/** List prices in USD of the Region us-east-1. Free tiers and discounts are not included. */
export const PRICES_OF = 'November 2026, us-east-1';

const MILLION = 1_000_000;

const DYNAMODB = 'https://aws.amazon.com/dynamodb/pricing/on-demand/';
const LAMBDA = 'https://aws.amazon.com/lambda/pricing/';
const STEP_FUNCTIONS = 'https://aws.amazon.com/step-functions/pricing/';
const API_GATEWAY = 'https://aws.amazon.com/api-gateway/pricing/';
const EVENT_BRIDGE = 'https://aws.amazon.com/eventbridge/pricing/';
const CLOUD_WATCH = 'https://aws.amazon.com/cloudwatch/pricing/';
const SECRETS_MANAGER = 'https://aws.amazon.com/secrets-manager/pricing/';
const X_RAY = 'https://aws.amazon.com/xray/pricing/';

interface Price {
  readonly usd: number;
  /** The number of units that cost `usd`. */
  readonly for: number;
  readonly unit: string;
  readonly source: string;
}

const price = (usd: number, count: number, unit: string, source: string): Price => ({
  usd,
  for: count,
  unit,
  source,
});

export const PRICE_LIST = {
  writeUnit: price(0.625, MILLION, 'write units, DynamoDB on demand', DYNAMODB),
  readUnit: price(0.125, MILLION, 'read units, DynamoDB on demand', DYNAMODB),
  invocation: price(0.2, MILLION, 'invocations, Lambda', LAMBDA),
  gigabyteSecond: price(13.3334, MILLION, 'GB-seconds, Lambda on arm64', LAMBDA),
  transition: price(25, MILLION, 'state transitions, Step Functions Standard', STEP_FUNCTIONS),
  httpRequest: price(1, MILLION, 'requests, HTTP API', API_GATEWAY),
  webSocketMessage: price(1, MILLION, 'messages of at most 32 KB, WebSocket API', API_GATEWAY),
  connectionMinute: price(0.25, MILLION, 'connection minutes, WebSocket API', API_GATEWAY),
  event: price(1, MILLION, 'custom events, EventBridge', EVENT_BRIDGE),
  scheduledInvocation: price(0, 1, 'invocation by a scheduled rule of the default bus', EVENT_BRIDGE),
  alarmMetric: price(0.1, 1, 'metric of an alarm, a month', CLOUD_WATCH),
  dashboard: price(3, 1, 'dashboard, a month', CLOUD_WATCH),
  customMetric: price(0.3, 1, 'custom metric, a month; only hours with data', CLOUD_WATCH),
  logGigabyte: price(0.5, 1, 'GB of logs', CLOUD_WATCH),
  trace: price(5, MILLION, 'traces', X_RAY),
  secretRequest: price(0.05, 10_000, 'requests, Secrets Manager', SECRETS_MANAGER),
  secret: price(0.4, 1, 'secret, a month', SECRETS_MANAGER),
} as const satisfies Readonly<Record<string, Price>>;

/** USD for one unit. */
export const PRICES = Object.fromEntries(
  Object.entries(PRICE_LIST).map(([name, { usd, for: count }]) => [name, usd / count]),
) as Readonly<Record<keyof typeof PRICE_LIST, number>>;
