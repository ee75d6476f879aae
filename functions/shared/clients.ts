import { setTimeout as sleep } from 'node:timers/promises';
import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { EventBridgeClient } from '@aws-sdk/client-eventbridge';
import { SFNClient } from '@aws-sdk/client-sfn';
import { defaultProvider } from '@aws-sdk/credential-provider-node';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import { type Connections, createConnections } from './hosts/connections.ts';
import { createMetrics } from './observability/metrics.ts';
import { noteLimits } from './observability/note-limits.ts';
import { createReadSecret, type ReadSecret } from './secrets/read-secret.ts';

/**
 * The only place that creates SDK clients, each once per process. The SDK resolves endpoints (`AWS_ENDPOINT_URL_*` if
 * set). The endpoint of the WebSocket API comes from the stack, and the one of Secrets Manager is resolved here, because
 * that client is not from the SDK.
 */

/**
 * Connect and response times are limited, so that a lost packet costs a retry and not the function's whole time: at most
 * two attempts of 3 s, within the 15 s of a function behind the HTTP API.
 */
const LIMITED = {
  retryMode: 'standard',
  requestHandler: { connectionTimeout: 1_000, requestTimeout: 3_000, throwOnRequestTimeout: true },
} as const;

const metrics = createMetrics({ now: () => new Date() });

/** store/table.ts retries on contention, so the SDK retries a call only once. */
export const createDynamoDbClient = (): DynamoDBClient =>
  noteLimits(new DynamoDBClient({ ...LIMITED, maxAttempts: 2 }), metrics);

export const createStepFunctionsClient = (): SFNClient =>
  noteLimits(new SFNClient({ ...LIMITED, maxAttempts: 3 }), metrics);

export const createEventBridgeClient = (): EventBridgeClient =>
  noteLimits(new EventBridgeClient({ ...LIMITED, maxAttempts: 3 }), metrics);

/** The management endpoint for connections: the URL of the WebSocket API with the scheme of HTTP. */
export const managementEndpoint = (webSocketUrl: string): string => webSocketUrl.replace(/^ws/, 'http');

/** @param webSocketUrl `ws://` or `wss://`, with the stage in its path */
export const createConnectionsClient = (webSocketUrl: string): Connections =>
  createConnections({
    endpoint: managementEndpoint(webSocketUrl),
    region: async () => process.env.AWS_REGION ?? '',
    credentials: defaultProvider(),
    requestHandler: new NodeHttpHandler(LIMITED.requestHandler),
    sleep,
    random: Math.random,
  });

const secretsEndpoint = (region: string): string =>
  process.env.AWS_ENDPOINT_URL_SECRETS_MANAGER ??
  `https://secretsmanager.${region}.amazonaws.com${region.startsWith('cn-') ? '.cn' : ''}`;

export const createSecretReader = (secretArn: string): ReadSecret =>
  createReadSecret(
    {
      endpoint: secretsEndpoint(process.env.AWS_REGION ?? ''),
      region: async () => process.env.AWS_REGION ?? '',
      credentials: defaultProvider(),
      requestHandler: new NodeHttpHandler(LIMITED.requestHandler),
      sleep,
      random: Math.random,
    },
    secretArn,
  );
