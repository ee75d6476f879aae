import { RULE_STEPS, TIMES, WORKFLOW_ERRORS } from '../../core/contract/deployment.ts';
import { FUNCTION_FAILED, LAMBDA_FAILED, LAMBDA_THROTTLED, type Retrier } from './retry-policies.ts';

/**
 * Conversion by a rule, by a user's event, or by another starter:
 *
 *     Select ─► Convert (Map: One, at most maxConcurrency at a time) ─► Record
 *
 * - Select records the event, once, and finds the containers. A duplicate or excluded event selects none.
 * - One starts an operation and waits with a task token. The table's stream answers it when the operation ends.
 * - The outcome of one container never ends the run: it is added to the list.
 */
export interface RuleMachineFunctions {
  readonly run: string;
}

const FUNCTION_SECONDS = 60;
/** Time for a conversion, its rollback and its settlement; longer than the limit of that execution. */
const ONE_SECONDS = TIMES.operationDeadlineSeconds + TIMES.undoSeconds + 10 * 60;
const ONE = 'One';

const expression = (jsonata: string) => `{% ${jsonata} %}`;
const input = (path: string) => expression(`$states.input.${path}`);

/** For a container with an active operation. Waits at most 5 + 7.5 + 11 + 17 + 25 + 30 × 7 s, half of that on average. */
const CONTAINER_BUSY: Retrier = {
  ErrorEquals: [WORKFLOW_ERRORS.busy],
  IntervalSeconds: 5,
  BackoffRate: 1.5,
  MaxAttempts: 12,
  MaxDelaySeconds: 30,
  JitterStrategy: 'FULL',
};

const PASSED = ['tenant', 'run', 'actor', 'runtimeType', 'cooldownSeconds', 'dryRun'] as const;

/** The outcome of a container in the list of the run. */
const LISTED = ['containerId', 'name'] as const;
const listed = Object.fromEntries(LISTED.map((key) => [key, input(key)]));

const one = (functions: RuleMachineFunctions, partition: string) => ({
  Type: 'Task',
  Resource: `arn:${partition}:states:::lambda:invoke.waitForTaskToken`,
  Arguments: {
    FunctionName: functions.run,
    Payload: {
      step: RULE_STEPS.convert,
      ...Object.fromEntries([...PASSED, 'containerId'].map((key) => [key, input(key)])),
      taskToken: expression('$states.context.Task.Token'),
    },
  },
  TimeoutSeconds: ONE_SECONDS,
  HeartbeatSeconds: ONE_SECONDS - 1,
  Retry: [CONTAINER_BUSY, LAMBDA_THROTTLED, LAMBDA_FAILED],
  Catch: [
    {
      ErrorEquals: [WORKFLOW_ERRORS.busy],
      Output: { ...listed, outcome: 'skipped', operationId: null, why: 'operation-in-progress' },
      Next: 'Listed',
    },
    {
      ErrorEquals: ['States.ALL'],
      Output: {
        ...listed,
        outcome: 'failed',
        operationId: null,
        why: expression('$states.errorOutput.Error'),
      },
      Next: 'Listed',
    },
  ],
  Output: {
    ...listed,
    outcome: expression('$states.result.outcome'),
    operationId: expression('$states.result.operationId'),
    why: expression('$states.result.why'),
  },
  End: true,
});

const callOnce = (functions: RuleMachineFunctions, partition: string, payload: object) => ({
  Type: 'Task',
  Resource: `arn:${partition}:states:::lambda:invoke`,
  Arguments: { FunctionName: functions.run, Payload: payload },
  TimeoutSeconds: FUNCTION_SECONDS,
  Retry: [LAMBDA_THROTTLED, LAMBDA_FAILED, FUNCTION_FAILED],
});

/** @param partition of the ARNs of Step Functions' integrations, such as `aws` */
export const buildRuleDefinition = (functions: RuleMachineFunctions, partition: string) => ({
  Comment: 'Convert the containers that a rule or a request selects',
  QueryLanguage: 'JSONata',
  StartAt: RULE_STEPS.select,
  // With maxConcurrency 1 the containers run one after another. A day is above the maximum that the limits allow.
  TimeoutSeconds: 86_400,
  States: {
    [RULE_STEPS.select]: {
      ...callOnce(functions, partition, {
        step: RULE_STEPS.select,
        execution: expression('$states.context.Execution.Name'),
        startedAt: expression('$states.context.Execution.StartTime'),
        input: expression('$states.input'),
      }),
      Output: expression('$states.result.Payload'),
      Next: RULE_STEPS.convert,
    },
    [RULE_STEPS.convert]: {
      Type: 'Map',
      Items: input('items'),
      MaxConcurrency: input('maxConcurrency'),
      ItemSelector: {
        ...Object.fromEntries(PASSED.map((key) => [key, input(key)])),
        ...Object.fromEntries(
          LISTED.map((key) => [key, expression(`$states.context.Map.Item.Value.${key}`)]),
        ),
      },
      ItemProcessor: {
        ProcessorConfig: { Mode: 'INLINE' },
        StartAt: ONE,
        States: { [ONE]: one(functions, partition), Listed: { Type: 'Pass', End: true } },
      },
      Output: { tenant: input('tenant'), run: input('run'), outcomes: expression('$states.result') },
      Next: RULE_STEPS.record,
    },
    [RULE_STEPS.record]: {
      ...callOnce(functions, partition, {
        step: RULE_STEPS.record,
        tenant: input('tenant'),
        run: input('run'),
        outcomes: input('outcomes'),
      }),
      Output: input('outcomes'),
      End: true,
    },
  },
});
