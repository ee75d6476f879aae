/**
 * Names that the CDK app, the functions and the tests share.
 */

/** Functions without an HTTP route; each has a folder of this name in `functions/`. */
export const INTERNAL_FUNCTIONS = [
  /** Steps of the workflows. */
  'place-container',
  'dispatch-command',
  'settle-operation',
  /** Steps of convert-by-rule. */
  'run-conversion-rule',
  /** The WebSocket API. */
  'authorize-host',
  'host-connection',
  'host-message',
  /** Session frames between client and host. */
  'session-frame',
  /** The table's stream. */
  'process-changes',
  'admit-waiting',
  /** The schedule. */
  'sweep',
] as const;
export type InternalFunction = (typeof INTERNAL_FUNCTIONS)[number];

/** State machines; each has a `<name>.machine.ts` in `lib/state-machines/` or is a variant of one. */
export const STATE_MACHINES = [
  'prepare',
  'provision-process',
  'provision-utility-vm',
  'place-utility-vm',
  'convert',
  /** Gives the host one command that leaves nothing to undo: stop, restart, remove, import an image, roll back. */
  'run-command',
  /** The end of an operation without an execution that failed, with or without something to undo on its host. */
  'undo',
  'settle',
] as const;
export type StateMachineName = (typeof STATE_MACHINES)[number];

/** The state machine that rules and conversion requests start, and its steps. */
export const RULE_MACHINE = 'convert-by-rule';
export const RULE_STEPS = { select: 'Select', convert: 'Convert', record: 'Record' } as const;
/** Prefix of the EventBridge rules of conversion rules. */
export const EVENT_RULE_PREFIX = 'bulkhead-conversion-';

/** Environment variables of the functions. */
export const ENVIRONMENT = {
  table: 'TABLE_NAME',
  bus: 'EVENT_BUS_NAME',
  /** JSON object: name of a state machine → its ARN. */
  stateMachines: 'STATE_MACHINE_ARNS',
  /** `wss://…/stage` of the WebSocket API; management calls use the same URL with `https`. */
  webSocketUrl: 'WEBSOCKET_URL',
  /** ARNs for the EventBridge rules of conversion rules. */
  ruleMachine: 'RULE_MACHINE_ARN',
  ruleRole: 'RULE_ROLE_ARN',
  ruleDeadLetters: 'RULE_DEAD_LETTERS_ARN',
  /** JSON: `EventTenantsSchema`. */
  eventTenants: 'EVENT_TENANTS',
  rulesPerTenant: 'RULES_PER_TENANT',
  /** JSON: `FairShareLimitsSchema`. */
  fairShare: 'FAIR_SHARE',
  tenantClaim: 'TENANT_CLAIM',
  scopeClaim: 'SCOPE_CLAIM',
  /** ARN of the secret for the keys that sign commands. */
  signingSecret: 'SIGNING_SECRET_ARN',
  /** ARN of the secret for sealing session tokens. */
  sessionSecret: 'SESSION_SECRET_ARN',
  heartbeatSeconds: 'HEARTBEAT_SECONDS',
  leaseSeconds: 'LEASE_SECONDS',
  sessionIdleSeconds: 'SESSION_IDLE_SECONDS',
  sessionTotalSeconds: 'SESSION_TOTAL_SECONDS',
  version: 'BULKHEAD_VERSION',
  logLevel: 'LOG_LEVEL',
} as const;

/** The one table: its key attributes and indexes. */
export const TABLE = {
  /** Version of the items' format, in the attribute `v` of each. An item of another version is refused. */
  format: 3,
  partitionKey: 'pk',
  sortKey: 'sk',
  ttl: 'ttl',
  indexes: ['gsi1', 'gsi2', 'gsi3', 'gsi4'],
  /**
   * Attributes that each index projects in addition to the keys. An update of other attributes costs no write in that index,
   * and an index of keys is written only when its keys change.
   */
  projected: {
    gsi1: ['v', 'view', 'revision', 'process'],
    gsi2: ['v', 'view', 'revision'],
    gsi3: [],
    gsi4: [],
  },
} as const;

/** The attribute of items that stream filters match. */
export const ENTITY_ATTRIBUTE = 'entity';

export const METRIC_NAMESPACE = 'Bulkhead';
/** Metrics that functions write. None has dimensions, because each combination of them is charged as a metric. */
export const METRICS = {
  operationFailed: 'OperationFailed',
  /** 1 for an operation that waits for capacity, or took {@link LATE_SECONDS} or more; 0 for any other that succeeded. */
  operationLate: 'OperationLate',
  hostSilent: 'HostSilent',
  commandRefused: 'CommandRefused',
  /** A tenant exceeded its share, or an AWS service throttled or failed a call. */
  limitReached: 'LimitReached',
} as const;
export const LATE_SECONDS = 300;

/** Metrics that CloudWatch extracts from logs. */
export const LOG_METRICS = {
  error: 'Error',
  /** 1 for a slow request, 0 for any other. */
  apiSlow: 'ApiSlow',
} as const;

/** Names of workflow steps, in operations and in the state machines. */
export const STEPS = {
  place: 'Place',
  prepare: 'PrepareContainer',
  provisionUtilityVm: 'ProvisionUtilityVm',
  start: 'StartContainer',
  stop: 'StopContainer',
  restart: 'RestartContainer',
  remove: 'RemoveContainer',
  convert: 'ConvertContainer',
  restore: 'RestoreContainer',
  importImage: 'ImportImage',
  /** The step of `run-command`. The operation decides which of the steps above it is. */
  command: 'Command',
  undo: 'Undo',
  settle: 'Settle',
} as const;

/** The input of every execution: ids, no data. `containerId` is null and `epoch` 0 for an operation on an image. */
export interface WorkflowInput {
  readonly tenant: string;
  readonly operationId: string;
  readonly containerId: string | null;
  readonly epoch: number;
}

/** The event from a state machine to a function, in addition to its input. Steps that wait have a `taskToken`. */
export interface WorkflowStepEvent extends WorkflowInput {
  readonly step: string;
  readonly taskToken?: string;
  /** On the failure path: Error and Cause from Step Functions. */
  readonly failure?: { readonly error: string; readonly cause: string };
  /** On the failure path: whether the host has confirmed the undo. */
  readonly undone?: boolean;
}

/** `error` of a task that Bulkhead fails; the cause is a problem in JSON. */
export const WORKFLOW_ERRORS = {
  stepFailed: 'Bulkhead.StepFailed',
  cancelled: 'Bulkhead.Cancelled',
  superseded: 'Bulkhead.Superseded',
  /** In a conversion by rule: the container has another active operation. */
  busy: 'Bulkhead.Busy',
} as const;

/** Validity of a command that corrects a host's state and belongs to no operation, in seconds. */
export const CORRECTION_SECONDS = 15 * 60;

/** Time limits in seconds: of operations by kind, and of the workflow steps. */
export const TIMES = {
  operationDeadlineSeconds: 15 * 60,
  /** A host must report progress on a command within this time, which is at least two heartbeats. */
  commandHeartbeatSeconds: 300,
  /** Interval at which placement is retried without a notification of free capacity. */
  placementRetrySeconds: 300,
  undoSeconds: 120,
  eventRetentionDays: 90,
} as const;

/** Defaults of the deployment: the interval of heartbeats, and how long one is valid. One heartbeat may be lost. */
export const HEARTBEAT_SECONDS = 130;
export const LEASE_SECONDS = 300;

export const EVENT_BUS_NAME = 'bulkhead';
