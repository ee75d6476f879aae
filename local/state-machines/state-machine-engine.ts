/** Step Functions: state machines of the template on the embedded States Language service. */
import { join } from 'node:path';
import type { JsonService } from '../endpoint/json-service.ts';
import type { CloudContext, ResolvedResource, ResourceEngine, ResourceIdentity } from '../engine.ts';
import { ServiceError, TemplateProblem, ThrottledError } from '../errors.ts';
import type { BusEvent } from '../events/event.ts';
import { LogFile } from '../log-file.ts';
import {
  createStatesService,
  DefinitionRefusedError,
  IntegrationError,
  LambdaInvocationError,
  type StatesService,
  type StatusChangeEvent,
} from '../states/index.ts';
import { asRecord, asString, type Json, type JsonObject } from '../template/json.ts';
import { accepted, honoured, metadataOnly, notEnforced, oneOf } from '../template/properties.ts';

/** Integrations of state machines other than functions. */
export interface StateMachinePorts {
  readonly putEvents: (entries: Json[]) => Promise<JsonObject>;
  readonly callDynamoDb: (operation: string, input: JsonObject) => Promise<JsonObject>;
  /** Durable when this returns. */
  readonly publish: (event: BusEvent) => void;
}

const types = {
  'AWS::StepFunctions::StateMachine': {
    StateMachineName: honoured,
    StateMachineType: oneOf('STANDARD'),
    DefinitionString: honoured,
    Definition: honoured,
    DefinitionSubstitutions: honoured,
    RoleArn: notEnforced,
    LoggingConfiguration: accepted('status changes are logged to logs/state-machines.log'),
    TracingConfiguration: accepted('there is no X-Ray on one machine'),
    EncryptionConfiguration: accepted('nothing is encrypted at rest on one machine'),
    Tags: metadataOnly,
  },
} as const;

/** Substitutes `${name}` in a definition. @throws TemplateProblem for a name without a value. */
const substitute = (definition: string, values: JsonObject): string =>
  definition.replace(/\$\{(\w+)\}/g, (_all, name: string) => {
    const value = values[name];
    if (value === undefined) {
      throw new TemplateProblem([{ property: 'DefinitionSubstitutions', message: `no value for '${name}'` }]);
    }
    return String(value);
  });

const errorOfFunction = (payload: string): LambdaInvocationError => {
  const { errorType, errorMessage, trace } = asRecord(JSON.parse(payload) as Json);
  return new LambdaInvocationError({
    errorType: asString(errorType) ?? 'Error',
    errorMessage: asString(errorMessage) ?? '',
    ...(Array.isArray(trace) && { trace: trace.map(String) }),
  });
};

/** The States Language name of throttling, by which it is retried. */
const rethrowThrottled = (error: unknown): never => {
  if (!(error instanceof ThrottledError)) throw error;
  throw new IntegrationError('Lambda.TooManyRequestsException', error.message);
};

export class StateMachineEngine implements ResourceEngine {
  readonly types = types;
  readonly service: JsonService;
  readonly states: StatesService;
  readonly #context: CloudContext;
  readonly #ports: StateMachinePorts;
  readonly #log: LogFile;

  constructor(context: CloudContext, ports: StateMachinePorts) {
    this.#context = context;
    this.#ports = ports;
    this.#log = new LogFile(join(context.stateDir, 'logs', 'state-machines.log'));
    const { clock, region, accountId } = context;
    this.states = createStatesService({
      databaseFile: join(context.stateDir, 'executions.db'),
      ...{ clock, region, accountId },
      random: { number: context.random, uuid: context.newId },
      invokeLambda: (functionArn, payload, { signal }) => this.#invoke(functionArn, payload, signal),
      putEvents: async (entries) => {
        const { FailedEntryCount, Entries } = await ports.putEvents(entries);
        return { FailedEntryCount: Number(FailedEntryCount), Entries: Array.isArray(Entries) ? Entries : [] };
      },
      callDynamoDb: (operation, input) => ports.callDynamoDb(operation, input),
      onStatusChange: async (event) => this.#statusChanged(event),
      log: (level, message, details) => context.log[level](message, details),
    });
    this.service = { prefix: 'AWSStepFunctions', call: (operation, input) => this.#call(operation, input) };
  }

  create(resource: ResolvedResource): ResourceIdentity {
    const { partition, region, accountId, stackName } = this.#context;
    const properties = resource.properties as JsonObject;
    const name = asString(properties.StateMachineName) ?? `${stackName}-${resource.logicalId}`.slice(0, 80);
    const arn = `arn:${partition}:states:${region}:${accountId}:stateMachine:${name}`;
    const given = properties.DefinitionString ?? JSON.stringify(properties.Definition ?? {});
    const definition = substitute(String(given), asRecord(properties.DefinitionSubstitutions));
    try {
      const roleArn = `arn:${partition}:iam::${accountId}:role/${stackName}-${resource.logicalId}`;
      this.states.createStateMachine({ name, arn, definition, roleArn });
    } catch (error) {
      if (!(error instanceof DefinitionRefusedError)) throw error;
      throw new TemplateProblem(
        error.refusals.map(({ feature, path, message }) => ({
          property: `DefinitionString${path}`,
          message: `${feature}: ${message}`,
        })),
      );
    }
    return { ref: arn, attributes: { Arn: arn, Name: name } };
  }

  async activate(): Promise<void> {
    await this.states.resume();
  }

  async stop(): Promise<void> {
    await this.states.close();
    this.#log.close();
  }

  /** A repeated start with the same name has no effect: the event is a duplicate. @throws ServiceError */
  async startExecution(stateMachineArn: string, name: string, input: string): Promise<void> {
    try {
      await this.#call('StartExecution', { stateMachineArn, name, input });
    } catch (error) {
      if (!(error instanceof ServiceError) || error.code !== 'ExecutionAlreadyExists') throw error;
    }
  }

  async #call(operation: string, input: JsonObject): Promise<JsonObject> {
    const { status, body } = await this.states.handle(`${this.service.prefix}.${operation}`, input);
    const answer = asRecord(body as Json);
    if (status === 200) return answer;
    throw new ServiceError(
      asString(answer.__type) ?? 'InternalServerError',
      asString(answer.message) ?? '',
      status,
    );
  }

  async #invoke(functionArn: string, payload: Json, signal: AbortSignal): Promise<unknown> {
    const result = await this.#context.functions
      .invoke(functionArn, JSON.stringify(payload), signal)
      .catch(rethrowThrottled);
    if (result.functionError !== undefined) throw errorOfFunction(result.payload);
    return JSON.parse(result.payload);
  }

  #statusChanged(event: StatusChangeEvent): void {
    const { name, status, stateMachineArn, error, cause } = event.detail;
    this.#log.append(
      `${JSON.stringify({ time: event.time, stateMachineArn, name, status, error, cause })}\n`,
    );
    this.#ports.publish(event);
  }
}
