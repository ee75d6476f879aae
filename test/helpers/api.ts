import type { Command } from '../../core/contract/agent/commands.ts';
import type { FairShareLimits } from '../../core/contract/fair-share.ts';
import type { HttpFunction } from '../../core/contract/http/routes.ts';
import { createHandler as computeProcesses } from '../../functions/compute-processes/handler.ts';
import { createHandler as controlContainer } from '../../functions/control-container/handler.ts';
import type { EventRules } from '../../functions/conversion-rules/event-rules.ts';
import { createHandler as conversionRules } from '../../functions/conversion-rules/handler.ts';
import { createHandler as createContainer } from '../../functions/create-container/handler.ts';
import { createHandler as events } from '../../functions/events/handler.ts';
import { createHandler as hostEnrollment } from '../../functions/host-enrollment/handler.ts';
import { createHandler as hosts } from '../../functions/hosts/handler.ts';
import { createHandler as images } from '../../functions/images/handler.ts';
import { createHandler as listProcesses } from '../../functions/list-processes/handler.ts';
import { createHandler as meta } from '../../functions/meta/handler.ts';
import { createHandler as operations } from '../../functions/operations/handler.ts';
import { createHandler as readContainers } from '../../functions/read-containers/handler.ts';
import { createHandler as sessions } from '../../functions/sessions/handler.ts';
import type { Push, PushResult } from '../../functions/shared/hosts/push.ts';
import type { LambdaHandler } from '../../functions/shared/http/create-http-handler.ts';
import type { HttpEvent, HttpResponse } from '../../functions/shared/http/exchange.ts';
import { createHandler as updateContainer } from '../../functions/update-container/handler.ts';
import type { ConversionRuleRecord } from '../../store/conversion-rules.ts';
import type { OperationRecord } from '../../store/operations.ts';
import type { Table } from '../../store/table.ts';
import type { Tasks } from '../../workflow/tasks.ts';
import { type Answered, type Call, call, routeOf, testDependencies, UNLIMITED } from './http-function.ts';
import { TENANT } from './records.ts';
import { commandIn, testSeal, testSigning } from './signing.ts';

/** Everything that the control plane has sent to other systems. */
export interface Outside {
  readonly started: OperationRecord[];
  readonly failedTasks: { readonly token: string; readonly error: string }[];
  readonly pushed: { readonly connectionId: string; readonly command: Command }[];
  readonly closed: string[];
  /** Rules on the bus, by name. */
  readonly eventRules: Map<string, ConversionRuleRecord>;
  /** Whether event patterns match. */
  patternMatches: boolean;
  /** The result of a push. A test replaces it to answer like a host. */
  onPush: (connectionId: string, command: Command) => Promise<PushResult>;
  /** The result of starting an execution. */
  onStart: () => Promise<'started' | 'already-started'>;
}

export interface Api {
  readonly call: (operationId: string, given?: Call) => Promise<Answered>;
  readonly send: (operationId: string, event: HttpEvent) => Promise<HttpResponse>;
  readonly outside: Outside;
  readonly clock: { ms: number };
  /** Log lines and metrics. */
  readonly lines: string[];
}

export const LEASE_SECONDS = 180;
export const RULES_PER_TENANT = 5;
export const WEBSOCKET_URL = 'wss://agents.example/prod';

const createOutside = (): Outside => ({
  started: [],
  failedTasks: [],
  pushed: [],
  closed: [],
  eventRules: new Map(),
  patternMatches: true,
  onPush: async () => 'sent',
  onStart: async () => 'started',
});

/** Every function behind the HTTP API on one table. Calls to other systems are only recorded. */
/** @param others replace the recorders of calls to other systems */
export const createApi = (
  table: Table,
  fairShare: FairShareLimits = UNLIMITED,
  others: { readonly push?: Push } = {},
): Api => {
  const outside = createOutside();
  const { clock, lines, ...dependencies } = testDependencies();
  const push: Push = async (connectionId, message) => {
    if (message.action !== 'command') return 'sent';
    const command = commandIn(message);
    outside.pushed.push({ connectionId, command });
    return outside.onPush(connectionId, command);
  };
  const startWorkflow = async (operation: OperationRecord) => {
    outside.started.push(operation);
    return outside.onStart();
  };
  const tasks: Tasks = {
    succeed: async () => 'delivered',
    heartbeat: async () => 'delivered',
    fail: async (token, error) => {
      outside.failedTasks.push({ token, error });
      return 'delivered';
    },
  };
  const eventRules: EventRules = {
    put: async (rule) => {
      outside.eventRules.set(rule.eventRuleName, rule);
    },
    remove: async (name) => {
      outside.eventRules.delete(name);
    },
    test: async () => outside.patternMatches,
  };
  const closeConnection = async (connectionId: string) => {
    outside.closed.push(connectionId);
  };
  const all = {
    ...dependencies,
    ...testSigning,
    ...testSeal,
    table,
    push,
    startWorkflow,
    tasks,
    closeConnection,
    eventRules,
    leaseSeconds: LEASE_SECONDS,
    webSocketUrl: WEBSOCKET_URL,
    fairShare,
    idleSeconds: 1800,
    totalSeconds: 28_800,
    version: '1.2.3',
    openApi: { openapi: '3.1.0' },
    rulesPerTenant: RULES_PER_TENANT,
    eventTenants: { defaultTenant: TENANT, byOrigin: {} },
    ...others,
  };
  const functions: Readonly<Record<HttpFunction, LambdaHandler>> = {
    'create-container': createContainer(all),
    'read-containers': readContainers(all),
    'update-container': updateContainer(all),
    'control-container': controlContainer(all),
    'list-processes': listProcesses(all),
    sessions: sessions(all),
    'compute-processes': computeProcesses(all),
    hosts: hosts(all),
    'host-enrollment': hostEnrollment(all),
    images: images(all),
    operations: operations(all),
    events: events(all),
    'conversion-rules': conversionRules(all),
    meta: meta(all),
  };
  const handlerOf = (operationId: string) => functions[routeOf(operationId).function];
  return {
    call: (operationId, given) => call(handlerOf(operationId), operationId, given),
    send: (operationId, event) => handlerOf(operationId)(event),
    outside,
    clock,
    lines,
  };
};
