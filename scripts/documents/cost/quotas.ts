/** Default quotas of a Region of an account, per second unless the name states otherwise. */
export const QUOTAS_OF = 'November 2026, us-east-1';

export interface Quota {
  readonly name: string;
  readonly limit: number;
  /** How it is raised: a request to AWS, a property of `BulkheadControlPlane`, or not at all. */
  readonly raise: 'Service Quotas' | 'fixed' | `property ${string}`;
  readonly source: string;
}

const AWS = 'https://docs.aws.amazon.com';
const API_GATEWAY = `${AWS}/apigateway/latest/developerguide/limits.html`;
const WEB_SOCKET = `${AWS}/apigateway/latest/developerguide/apigateway-execution-service-websocket-limits-table.html`;
const LAMBDA = `${AWS}/lambda/latest/dg/gettingstarted-limits.html`;
const DYNAMODB = `${AWS}/amazondynamodb/latest/developerguide/ServiceQuotas.html`;
const PARTITION = `${AWS}/amazondynamodb/latest/developerguide/bp-partition-key-design.html`;
const EVENT_BRIDGE = `${AWS}/eventbridge/latest/userguide/eb-quota.html`;
const STEP_FUNCTIONS = `${AWS}/step-functions/latest/dg/service-quotas.html`;

const quota = (name: string, limit: number, raise: Quota['raise'], source: string): Quota => ({
  name,
  limit,
  raise,
  source,
});

export const QUOTAS = {
  gatewayRequests: quota(
    'API Gateway: requests and messages of all APIs, in both directions',
    10_000,
    'Service Quotas',
    API_GATEWAY,
  ),
  connections: quota('API Gateway: new WebSocket connections', 500, 'Service Quotas', WEB_SOCKET),
  concurrency: quota('Lambda: concurrent executions', 1_000, 'Service Quotas', LAMBDA),
  tableWrites: quota(
    'DynamoDB: write units of the table with its indexes',
    40_000,
    'Service Quotas',
    DYNAMODB,
  ),
  tableReads: quota('DynamoDB: read units of the table with its indexes', 40_000, 'Service Quotas', DYNAMODB),
  partitionWrites: quota('DynamoDB: write units of one partition', 1_000, 'fixed', PARTITION),
  events: quota('EventBridge: PutEvents', 10_000, 'Service Quotas', EVENT_BRIDGE),
  executions: quota(
    'Step Functions: StartExecution (bursts of 1,300)',
    300,
    'Service Quotas',
    STEP_FUNCTIONS,
  ),
  transitions: quota('Step Functions: state transitions', 5_000, 'Service Quotas', STEP_FUNCTIONS),
} as const satisfies Readonly<Record<string, Quota>>;
