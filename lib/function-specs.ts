import type { ENVIRONMENT, InternalFunction, StateMachineName, TABLE } from '../core/contract/deployment.ts';
import { STATE_MACHINES } from '../core/contract/deployment.ts';
import type { HttpFunction } from '../core/contract/http/routes.ts';

/**
 * Permissions and settings of each Lambda function. This table is complete: the role of a function has the permissions
 * listed here, plus writing to the log group of the functions and, if traced, traces.
 *
 * A transaction needs no separate permission: IAM checks each of its parts as the single action.
 */
export type TableAction =
  | 'GetItem'
  | 'BatchGetItem'
  | 'Query'
  | 'PutItem'
  | 'UpdateItem'
  | 'DeleteItem'
  | 'ConditionCheckItem';

export type TableIndex = (typeof TABLE.indexes)[number];
export type FunctionName = HttpFunction | InternalFunction;
export type SecretKey = 'signingSecret' | 'sessionSecret';
export type EnvironmentKey = keyof typeof ENVIRONMENT;
export type TaskAnswer = 'SendTaskSuccess' | 'SendTaskFailure' | 'SendTaskHeartbeat';

export type ConnectionMethod = 'POST' | 'DELETE';

export interface FunctionSpec {
  readonly description: string;
  /** Behind the HTTP API at most 29: after 30 the API sends its own 503. */
  readonly timeoutSeconds: number;
  /** Also determines the CPU share. */
  readonly memoryMB: number;
  /** In addition to those of every function: the table's name, the version and the log level. */
  readonly environment: readonly EnvironmentKey[];
  readonly table: readonly TableAction[];
  /** Indexes that the function queries; `Query` on the table itself is in `table`. */
  readonly indexes: readonly TableIndex[];
  /** State machines whose executions it starts. */
  readonly starts: readonly StateMachineName[];
  /** How it can answer a task that waits for a token. */
  readonly answersTasks: readonly TaskAnswer[];
  /** Its calls on connections of the agents' WebSocket API: POST sends a message, DELETE closes. */
  readonly connections: readonly ConnectionMethod[];
  /** Puts events on the bus. */
  readonly publishesEvents: boolean;
  /**
   * Generated secrets that it reads. `signingSecret`: it signs commands, or sends hosts the public keys.
   * `sessionSecret`: it creates or verifies session tokens.
   */
  readonly secrets: readonly SecretKey[];
  /** Creates and deletes rules of the bus that start convert-by-rule. */
  readonly managesRules: boolean;
  /**
   * Whether Lambda traces it: one invocation a second, and 5 % of the rest. False for functions that run although nothing
   * happens, because at their low rates each invocation would be traced, which costs more than the invocation.
   */
  readonly traced: boolean;
}

const spec = (description: string, given: Partial<Omit<FunctionSpec, 'description'>>): FunctionSpec => ({
  description,
  timeoutSeconds: 30,
  memoryMB: 256,
  environment: [],
  table: [],
  indexes: [],
  starts: [],
  answersTasks: [],
  connections: [],
  publishesEvents: false,
  secrets: [],
  managesRules: false,
  traced: true,
  ...given,
});

const httpSpec = (description: string, given: Partial<Omit<FunctionSpec, 'description'>>): FunctionSpec =>
  spec(description, {
    timeoutSeconds: 15,
    ...given,
    environment: ['tenantClaim', 'scopeClaim', 'fairShare', ...(given.environment ?? [])],
  });

/** To place a container: sample the ready hosts, reserve capacity on one, record it. */
const PLACEMENT_ACTIONS = [
  'GetItem',
  'BatchGetItem',
  'Query',
  'PutItem',
  'UpdateItem',
  'ConditionCheckItem',
] as const;
/** They end operations that failed without an execution. */
const FAILURE_MACHINES = ['undo', 'settle'] as const;
/** To end an operation: its container's item, its own item and its commands. */
const COMPLETION_ACTIONS = ['GetItem', 'Query', 'PutItem', 'UpdateItem', 'DeleteItem'] as const;
/** The first function that pages a list creates the key that signs cursors. */
const LIST_ACTIONS = ['GetItem', 'BatchGetItem', 'PutItem'] as const;

/** Above the 25 s that a caller can wait, below the API's own limit. */
const LONG_POLL_SECONDS = 29;

/** Below the 29 s of API Gateway, so that a timeout is a failure of the function, which an alarm counts. */
const WEB_SOCKET_SECONDS = 28;

/** Rule expressions run in a child process, which needs memory too. */
const EXPRESSIONS_MB = 512;

const HTTP_SPECS: Readonly<Record<HttpFunction, FunctionSpec>> = {
  'create-container': httpSpec('Create containers', {
    table: PLACEMENT_ACTIONS,
    indexes: ['gsi2'],
    starts: ['prepare', 'provision-process', 'provision-utility-vm', 'place-utility-vm'],
    connections: ['POST'],
    environment: ['stateMachines', 'webSocketUrl'],
    secrets: ['signingSecret'],
  }),
  'read-containers': httpSpec('Read and list containers', {
    table: LIST_ACTIONS,
    indexes: ['gsi1', 'gsi3', 'gsi4'],
  }),
  'update-container': httpSpec('Change a container', {
    table: ['GetItem', 'PutItem', 'DeleteItem'],
    starts: ['convert'],
    connections: ['POST'],
    environment: ['stateMachines', 'webSocketUrl'],
    secrets: ['signingSecret'],
  }),
  'control-container': httpSpec('Start, stop, restart, kill, remove a container', {
    table: [...PLACEMENT_ACTIONS, 'DeleteItem'],
    indexes: ['gsi2'],
    starts: ['provision-process', 'provision-utility-vm', 'place-utility-vm', 'run-command'],
    answersTasks: ['SendTaskFailure'],
    connections: ['POST'],
    environment: ['stateMachines', 'webSocketUrl', 'leaseSeconds'],
    secrets: ['signingSecret'],
  }),
  'list-processes': httpSpec('List processes on a host, report the isolation of a container', {
    timeoutSeconds: LONG_POLL_SECONDS,
    table: ['GetItem', 'PutItem', 'UpdateItem', 'DeleteItem'],
    connections: ['POST'],
    environment: ['webSocketUrl'],
    secrets: ['signingSecret'],
  }),
  sessions: httpSpec('Run commands in containers, open and revoke sessions, read logs', {
    timeoutSeconds: LONG_POLL_SECONDS,
    table: ['GetItem', 'PutItem', 'UpdateItem', 'DeleteItem'],
    connections: ['POST', 'DELETE'],
    environment: ['webSocketUrl', 'sessionIdleSeconds', 'sessionTotalSeconds'],
    secrets: ['signingSecret', 'sessionSecret'],
  }),
  'compute-processes': httpSpec('Read and list compute processes', {
    table: LIST_ACTIONS,
    indexes: ['gsi1', 'gsi3'],
  }),
  hosts: httpSpec('Read, change, drain and remove hosts', {
    table: ['GetItem', 'BatchGetItem', 'Query', 'PutItem', 'UpdateItem', 'DeleteItem', 'ConditionCheckItem'],
    indexes: ['gsi1', 'gsi2', 'gsi3'],
    connections: ['DELETE'],
    environment: ['webSocketUrl', 'leaseSeconds'],
  }),
  'host-enrollment': httpSpec('Create enrollment tokens, enroll hosts', {
    table: ['GetItem', 'PutItem', 'DeleteItem'],
    environment: ['webSocketUrl', 'heartbeatSeconds', 'leaseSeconds'],
    secrets: ['signingSecret'],
  }),
  images: httpSpec('Read, import and remove images', {
    table: ['GetItem', 'BatchGetItem', 'Query', 'PutItem', 'UpdateItem', 'DeleteItem'],
    indexes: ['gsi1', 'gsi4'],
    starts: ['run-command'],
    connections: ['POST'],
    environment: ['stateMachines', 'webSocketUrl'],
    secrets: ['signingSecret'],
  }),
  operations: httpSpec('Read, await and cancel operations', {
    timeoutSeconds: LONG_POLL_SECONDS,
    table: LIST_ACTIONS,
    indexes: ['gsi1', 'gsi3'],
    answersTasks: ['SendTaskFailure'],
  }),
  events: httpSpec('List events', { table: ['GetItem', 'PutItem', 'Query'] }),
  'conversion-rules': httpSpec('Create, read, test and delete conversion rules', {
    table: ['GetItem', 'BatchGetItem', 'Query', 'PutItem', 'UpdateItem', 'DeleteItem'],
    indexes: ['gsi1', 'gsi3', 'gsi4'],
    managesRules: true,
    memoryMB: EXPRESSIONS_MB,
    environment: ['bus', 'ruleMachine', 'ruleRole', 'ruleDeadLetters', 'eventTenants', 'rulesPerTenant'],
  }),
  meta: httpSpec('Health, version, OpenAPI document', {}),
};

const INTERNAL_SPECS: Readonly<Record<InternalFunction, FunctionSpec>> = {
  'place-container': spec('Place a container on a host', {
    table: PLACEMENT_ACTIONS,
    indexes: ['gsi2'],
    answersTasks: ['SendTaskSuccess', 'SendTaskFailure'],
  }),
  'dispatch-command': spec('Write a command and notify its host', {
    table: ['GetItem', 'PutItem', 'UpdateItem', 'DeleteItem', 'ConditionCheckItem'],
    answersTasks: ['SendTaskSuccess', 'SendTaskFailure'],
    connections: ['POST'],
    environment: ['webSocketUrl'],
    secrets: ['signingSecret'],
  }),
  'settle-operation': spec('End an operation that failed or whose execution ended early', {
    table: COMPLETION_ACTIONS,
    connections: ['POST'],
    environment: ['webSocketUrl'],
  }),
  'run-conversion-rule': spec('Select containers for a conversion, start it, record the outcome', {
    memoryMB: EXPRESSIONS_MB,
    table: ['GetItem', 'BatchGetItem', 'PutItem', 'UpdateItem'],
    indexes: ['gsi1', 'gsi3', 'gsi4'],
    starts: ['convert'],
    answersTasks: ['SendTaskSuccess', 'SendTaskFailure'],
    environment: ['stateMachines', 'eventTenants'],
  }),
  'authorize-host': spec('Verify the token of a connecting host, or of a session’s client', {
    timeoutSeconds: 10,
    table: ['GetItem'],
    secrets: ['sessionSecret'],
    traced: false,
  }),
  'host-connection': spec('Record connects and disconnects of hosts and session clients', {
    timeoutSeconds: WEB_SOCKET_SECONDS,
    table: ['GetItem', 'UpdateItem'],
    connections: ['POST', 'DELETE'],
    environment: ['webSocketUrl'],
    traced: false,
  }),
  'host-message': spec('Process messages of hosts: heartbeats, results, reports', {
    timeoutSeconds: WEB_SOCKET_SECONDS,
    traced: false,
    table: ['GetItem', 'BatchGetItem', 'Query', 'PutItem', 'UpdateItem', 'DeleteItem', 'ConditionCheckItem'],
    indexes: ['gsi2', 'gsi3'],
    starts: FAILURE_MACHINES,
    answersTasks: ['SendTaskSuccess', 'SendTaskFailure', 'SendTaskHeartbeat'],
    connections: ['POST', 'DELETE'],
    environment: ['stateMachines', 'webSocketUrl', 'heartbeatSeconds', 'leaseSeconds'],
    secrets: ['signingSecret'],
  }),
  'session-frame': spec('Forward a session frame to the other side', {
    timeoutSeconds: WEB_SOCKET_SECONDS,
    traced: false,
    table: ['GetItem', 'UpdateItem'],
    connections: ['POST'],
    environment: ['webSocketUrl'],
    secrets: ['sessionSecret'],
  }),
  'process-changes': spec('Turn table changes into events, start accepted operations', {
    table: ['PutItem', 'Query'],
    starts: STATE_MACHINES,
    answersTasks: ['SendTaskSuccess'],
    publishesEvents: true,
    environment: ['bus', 'stateMachines'],
  }),
  'admit-waiting': spec('Place waiting operations when capacity becomes free', {
    table: PLACEMENT_ACTIONS,
    indexes: ['gsi2'],
    answersTasks: ['SendTaskSuccess', 'SendTaskFailure'],
  }),
  sweep: spec('Every minute: expired leases, lost pushes, overdue work', {
    traced: false,
    table: PLACEMENT_ACTIONS,
    indexes: ['gsi2', 'gsi3', 'gsi4'],
    starts: FAILURE_MACHINES,
    answersTasks: ['SendTaskSuccess', 'SendTaskFailure'],
    environment: ['leaseSeconds', 'stateMachines'],
  }),
};

export const FUNCTION_SPECS: Readonly<Record<FunctionName, FunctionSpec>> = {
  ...HTTP_SPECS,
  ...INTERNAL_SPECS,
};

/** The trigger that sets the tenant claim, if the stack creates a user pool. */
export const TENANT_CLAIM_SPEC = spec('Set the tenant claim in machine tokens', { timeoutSeconds: 5 });

export const FUNCTION_NAMES = Object.keys(FUNCTION_SPECS) as FunctionName[];
