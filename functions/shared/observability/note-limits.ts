import type { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import type { EventBridgeClient } from '@aws-sdk/client-eventbridge';
import type { SFNClient } from '@aws-sdk/client-sfn';
import type { Metrics } from './metrics.ts';

/** What the SDK adds to the errors of services. */
interface ServiceError {
  readonly name: string;
  readonly $metadata?: { readonly httpStatusCode?: number };
  /** Of a transaction of DynamoDB: a code for each of its writes. */
  readonly CancellationReasons?: readonly { readonly Code?: string }[];
}

const LIMIT = /Throttl|Exceeded/;

const codesOf = ({ name, CancellationReasons = [] }: ServiceError): string =>
  [name, ...CancellationReasons.map(({ Code }) => Code)].join(' ');

/** Counts each attempt of a client that its service throttled or failed, whether or not a retry succeeds. */
export const noteLimits = <Client extends DynamoDBClient | EventBridgeClient | SFNClient>(
  client: Client,
  { count }: Metrics,
): Client => {
  (client as DynamoDBClient).middlewareStack.add(
    (next, { commandName }) =>
      async (given) => {
        try {
          return await next(given);
        } catch (error) {
          const codes = codesOf(error as ServiceError);
          if (((error as ServiceError).$metadata?.httpStatusCode ?? 0) >= 500 || LIMIT.test(codes))
            count('limitReached', { commandName, codes });
          throw error;
        }
      },
    { step: 'finalizeRequest', priority: 'low' },
  );
  return client;
};
