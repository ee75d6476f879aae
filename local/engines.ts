import { createAcceptedEngine } from './accepted-engine.ts';
import { ApiGatewayEngine } from './api-gateway/api-gateway-engine.ts';
import type { Chaos } from './chaos.ts';
import type { CloudOptions } from './cloud-options.ts';
import { DynamoDbEngine } from './dynamodb/dynamodb-engine.ts';
import type { CloudContext, FunctionInvoker, ResourceEngine } from './engine.ts';
import { EventsEngine } from './events/events-engine.ts';
import { LambdaEngine } from './lambda/lambda-engine.ts';
import { SecretsEngine } from './secrets/secrets-engine.ts';
import { SqsEngine } from './sqs/sqs-engine.ts';
import { StateMachineEngine } from './state-machines/state-machine-engine.ts';
import { StreamsEngine } from './streams/streams-engine.ts';

export interface Engines {
  readonly accepted: ResourceEngine;
  readonly dynamodb: DynamoDbEngine;
  readonly sqs: SqsEngine;
  readonly secrets: SecretsEngine;
  readonly lambda: LambdaEngine;
  readonly events: EventsEngine;
  readonly streams: StreamsEngine;
  readonly stateMachines: StateMachineEngine;
  readonly apiGateway: ApiGatewayEngine;
}

/** Creates every engine and connects them. Nothing is started. */
export const createEngines = (
  surroundings: Omit<CloudContext, 'functions'>,
  options: CloudOptions,
  chaos: Chaos,
  assetPath: (objectKey: string) => string | undefined,
): Engines => {
  // Engines call each other only once all are started, so an engine can refer to ones that are created later.
  const functions: FunctionInvoker = {
    invoke: (...args) => lambda.invoke(...args),
    invokeAsync: (...args) => lambda.invokeAsync(...args),
  };
  const context: CloudContext = { ...surroundings, functions };
  const { overrides = {} } = options;
  const sqs = new SqsEngine(context, chaos);
  const sendToQueue = sqs.sendTo.bind(sqs);
  /** A failed delivery must not crash its sender if the dead-letter queue does not exist. */
  const sendDeadLetter: typeof sendToQueue = (queueArn, body, attributes) => {
    try {
      sendToQueue(queueArn, body, attributes);
    } catch (error) {
      context.log.error('a dead letter was lost', {
        queueArn,
        error: String(error),
        body: body.slice(0, 1_000),
      });
    }
  };
  const dynamodb = new DynamoDbEngine(context, overrides.dynamoDbEndpoint);
  const lambda: LambdaEngine = new LambdaEngine(context, {
    ...{ assetPath, chaos, sendToQueue: sendDeadLetter },
    maxConcurrency: overrides.maxConcurrency ?? 24,
    asyncRetryDelaysMs: overrides.asyncRetryDelaysMs ?? [1_000, 2_000],
  });
  const stateMachines: StateMachineEngine = new StateMachineEngine(context, {
    putEvents: (entries) => events.service.call('PutEvents', { Entries: entries }),
    callDynamoDb: (operation, input) => dynamodb.client().call(operation, input),
    publish: (event) => events.publishFromService(event),
  });
  const events = new EventsEngine(
    context,
    { startExecution: (...args) => stateMachines.startExecution(...args), sendToQueue, sendDeadLetter },
    chaos,
  );
  return {
    ...{ sqs, dynamodb, lambda, stateMachines, events },
    accepted: createAcceptedEngine(context),
    secrets: new SecretsEngine(context),
    streams: new StreamsEngine(context, { source: dynamodb, chaos, sendToQueue: sendDeadLetter }),
    apiGateway: new ApiGatewayEngine(context, {
      ...{ chaos, port: options.httpPort ?? 0, mounts: options.mounts ?? [] },
    }),
  };
};
