import type { ENVIRONMENT, InternalFunction, StateMachineName, TABLE } from '../core/contract/deployment.ts';
import { STATE_MACHINES } from '../core/contract/deployment.ts';
import type { HttpFunction } from '../core/contract/http/routes.ts';

/**
 * What each Lambda function may do, and needs to do it. This table is the whole of the functions' permissions:
 * the role of a function holds what stands here, the right to write to its own log group, and traces.
 *
 * A transaction needs no right of its own: each of its parts is checked as the single action would be.
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
  /** Behind the HTTP API at most 29: the API answers 503 in its own words after 30. */
  readonly timeoutSeconds: number;
  /** Also sets the share of a processor. */
  readonly memoryMB: number;
  /** Beside those that every function has: the table's name, the version and the log level. */
  readonly environment: readonly EnvironmentKey[];
  readonly table: readonly TableAction[];
  /** Indexes that the function queries; `Query` on the table itself is in `table`. */
  readonly indexes: readonly TableIndex[];
  /** State machines of which it starts executions. */
  readonly starts: readonly StateMachineName[];
  /** How it may answer a task that waits for a token. */
  readonly answersTasks: readonly TaskAnswer[];
  /** What it does with connections of the agents' WebSocket API: posts to them, or closes them. */
  readonly connections: readonly ConnectionMethod[];
  /** Puts events on the bus. */
  readonly publishesEvents: boolean;
  /**
   * Generated secrets that it reads. `signingSecret`: it gives commands, or tells hosts the keys. `sessionSecret`: it
   * makes tokens of sessions, or verifies them.
   */
  readonly secrets: readonly SecretKey[];
  /** Makes and removes rules of the bus that start convert-by-rule. */
  readonly managesRules: boolean;
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
  ...given,
});

const httpSpec = (description: string, given: Partial<Omit<FunctionSpec, 'description'>>): FunctionSpec =>
  spec(description, {
    timeoutSeconds: 15,
    ...given,
    environment: ['tenantClaim', 'scopeClaim', 'fairShare', ...(given.environment ?? [])],
  });

/** What placing a container takes: sample the hosts that are ready, reserve on one, record it. */
const PLACEMENT_ACTIONS = [
  'GetItem',
  'BatchGetItem',
  'Query',
  'PutItem',
  'UpdateItem',
  'ConditionCheckItem',
] as const;
/** What a dry run takes to say where a container would go: sample the hosts, hold nothing. */
const PREVIEWS = ['GetItem', 'BatchGetItem', 'Query'] as const;
/** What ending an operation takes: its container's and its own item, its commands. */
const COMPLETION_ACTIONS = ['GetItem', 'Query', 'PutItem', 'UpdateItem', 'DeleteItem'] as const;
/** The first function that pages a list makes the key that signs cursors. */
const LIST_ACTIONS = ['GetItem', 'PutItem'] as const;

/** Above the 25 s that a caller may ask to wait, below the API's own limit. */
const LONG_POLL_SECONDS = 29;

/** Expressions of rules run in a process beside the function's own. */
const EXPRESSIONS_MB = 512;

const HTTP_SPECS: Readonly<Record<HttpFunction, FunctionSpec>> = {
  'create-container': httpSpec('Accept a new container', {
    table: [...PREVIEWS, 'PutItem'],
    indexes: ['gsi2'],
    starts: ['prepare', 'provision-process', 'provision-utility-vm'],
    environment: ['stateMachines'],
  }),
  'read-containers': httpSpec('Read and list containers', {
    table: LIST_ACTIONS,
    indexes: ['gsi1', 'gsi2', 'gsi3', 'gsi4'],
  }),
  'update-container': httpSpec('Change a container', {
    table: ['GetItem', 'PutItem', 'DeleteItem'],
    starts: ['convert'],
    connections: ['POST'],
    environment: ['stateMachines', 'webSocketUrl'],
    secrets: ['signingSecret'],
  }),
  'control-container': httpSpec('Start, stop, restart, kill, remove a container', {
    table: [...PREVIEWS, 'PutItem'],
    indexes: ['gsi2'],
    starts: ['provision-process', 'provision-utility-vm', 'stop', 'restart', 'remove'],
    answersTasks: ['SendTaskFailure'],
    environment: ['stateMachines'],
  }),
  'list-processes': httpSpec('Ask a host for processes, and what a container shares with it', {
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
  hosts: httpSpec('Read, change, drain and forget hosts', {
    table: ['GetItem', 'BatchGetItem', 'PutItem', 'UpdateItem', 'DeleteItem'],
    indexes: ['gsi1', 'gsi3'],
    connections: ['DELETE'],
    environment: ['webSocketUrl', 'leaseSeconds'],
  }),
  'host-enrollment': httpSpec('Make enrollment tokens, enroll hosts', {
    table: ['GetItem', 'PutItem', 'DeleteItem'],
    environment: ['webSocketUrl', 'heartbeatSeconds', 'leaseSeconds'],
    secrets: ['signingSecret'],
  }),
  images: httpSpec('Read, import and remove images', {
    table: ['GetItem', 'Query', 'PutItem', 'UpdateItem', 'DeleteItem'],
    indexes: ['gsi1', 'gsi4'],
    starts: ['import-image'],
    connections: ['POST'],
    environment: ['stateMachines', 'webSocketUrl'],
    secrets: ['signingSecret'],
  }),
  operations: httpSpec('Read, await and cancel operations', {
    timeoutSeconds: LONG_POLL_SECONDS,
    table: ['GetItem', 'PutItem'],
    indexes: ['gsi1', 'gsi3'],
    answersTasks: ['SendTaskFailure'],
  }),
  events: httpSpec('List events', { table: [...LIST_ACTIONS, 'Query'] }),
  'conversion-rules': httpSpec('Make, read, test and remove conversion rules', {
    table: ['GetItem', 'Query', 'PutItem', 'UpdateItem', 'DeleteItem'],
    indexes: ['gsi1', 'gsi2', 'gsi3', 'gsi4'],
    managesRules: true,
    memoryMB: EXPRESSIONS_MB,
    environment: ['bus', 'ruleMachine', 'ruleRole', 'ruleDeadLetters', 'eventTenants', 'rulesPerTenant'],
  }),
  meta: httpSpec('Health, version, OpenAPI document', {}),
};

const INTERNAL_SPECS: Readonly<Record<InternalFunction, FunctionSpec>> = {
  'place-container': spec('Reserve room on a host', {
    table: PLACEMENT_ACTIONS,
    indexes: ['gsi2'],
    answersTasks: ['SendTaskSuccess', 'SendTaskFailure'],
  }),
  'dispatch-command': spec('Record a command and wake its host', {
    table: ['GetItem', 'PutItem', 'UpdateItem'],
    answersTasks: ['SendTaskSuccess', 'SendTaskFailure'],
    connections: ['POST'],
    environment: ['webSocketUrl'],
    secrets: ['signingSecret'],
  }),
  'commit-operation': spec('End an operation that succeeded', {
    table: [...COMPLETION_ACTIONS, 'ConditionCheckItem'],
  }),
  'settle-operation': spec('End an operation that failed, or whose execution ended without saying so', {
    table: COMPLETION_ACTIONS,
    connections: ['POST'],
    environment: ['webSocketUrl'],
  }),
  'run-conversion-rule': spec('Select containers for a conversion, begin it, record what came of it', {
    memoryMB: EXPRESSIONS_MB,
    table: ['GetItem', 'PutItem', 'UpdateItem'],
    indexes: ['gsi1', 'gsi2', 'gsi3', 'gsi4'],
    starts: ['convert'],
    answersTasks: ['SendTaskSuccess', 'SendTaskFailure'],
    environment: ['stateMachines', 'eventTenants'],
  }),
  'authorize-host': spec('Verify the token of a connecting host, or of a session’s client', {
    timeoutSeconds: 10,
    table: ['GetItem'],
    secrets: ['sessionSecret'],
  }),
  'host-connection': spec('Record that a host, or a session’s client, connected or went', {
    table: ['GetItem', 'UpdateItem'],
    connections: ['POST', 'DELETE'],
    environment: ['webSocketUrl'],
  }),
  'host-message': spec('Take what a host says: heartbeats, results, states', {
    table: ['GetItem', 'Query', 'PutItem', 'UpdateItem', 'DeleteItem', 'ConditionCheckItem'],
    indexes: ['gsi3'],
    answersTasks: ['SendTaskSuccess', 'SendTaskFailure', 'SendTaskHeartbeat'],
    connections: ['POST', 'DELETE'],
    environment: ['webSocketUrl', 'heartbeatSeconds', 'leaseSeconds'],
    secrets: ['signingSecret'],
  }),
  'session-frame': spec('Hand a frame of a session to the other side', {
    table: ['GetItem', 'UpdateItem'],
    connections: ['POST'],
    environment: ['webSocketUrl'],
    secrets: ['sessionSecret'],
  }),
  'process-changes': spec('Turn changes of the table into events, and start what was accepted', {
    table: ['PutItem'],
    starts: STATE_MACHINES,
    answersTasks: ['SendTaskSuccess'],
    publishesEvents: true,
    environment: ['bus', 'stateMachines'],
  }),
  'admit-waiting': spec('Give room that became free to operations that wait for it', {
    table: PLACEMENT_ACTIONS,
    indexes: ['gsi2', 'gsi4'],
    answersTasks: ['SendTaskSuccess', 'SendTaskFailure'],
  }),
  sweep: spec('Once a minute: silent hosts, lost pushes, overdue work', {
    table: PLACEMENT_ACTIONS,
    indexes: ['gsi2', 'gsi3', 'gsi4'],
    answersTasks: ['SendTaskSuccess', 'SendTaskFailure'],
    environment: ['leaseSeconds'],
  }),
};

export const FUNCTION_SPECS: Readonly<Record<FunctionName, FunctionSpec>> = {
  ...HTTP_SPECS,
  ...INTERNAL_SPECS,
};

/** The trigger that sets the tenant claim, where the stack makes its own user pool. */
export const TENANT_CLAIM_SPEC = spec('Set the tenant claim in tokens of machines', { timeoutSeconds: 5 });

export const FUNCTION_NAMES = Object.keys(FUNCTION_SPECS) as FunctionName[];
