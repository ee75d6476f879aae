import { STEPS, type StateMachineName, TIMES } from '../../core/contract/deployment.ts';
import {
  FUNCTION_FAILED,
  LAMBDA_FAILED,
  NEVER_RETRIED,
  PLACEMENT_WAITS,
  type Retrier,
} from './retry-policies.ts';

/**
 * All workflows have one shape: a placement if needed, one command to the host, and one path for failures.
 *
 *     Place ─► command                        success: each step is one transition
 *       │         │  any error
 *       │         ▼
 *       │       Undo ───► Settle ─► Failed    machines with something to undo
 *       └──────────────────┘
 *
 * - Input and output of every state are `WorkflowInput`; on the failure path also `failure`, and later `undone`. No other
 *   data passes between states: the table is authoritative.
 * - The function that gets the host's result ends the operation, then answers the command's step. So no
 *   state is needed to end it.
 * - Place and the command wait for a task token. The host, the sweeper or a change that frees capacity answers it.
 * - The time limit of a step is the time left until the operation's deadline, counted from the start of the execution.
 *   So Undo always has its full time before the limit of the execution.
 * - An execution that ends without Settle (aborted, timed out, Settle failed) is settled by the rule on Step Functions'
 *   status changes, which calls the same function.
 */
export interface MachineSpec {
  readonly name: StateMachineName;
  readonly comment: string;
  /** In order. The last one is the command to the host. None: it starts with a failure in its input. */
  readonly steps: readonly string[];
  /** Whether a failed step may leave something half finished on a host. */
  readonly undo: boolean;
}

/** ARNs of the functions that the machines call. */
export interface MachineFunctions {
  readonly place: string;
  readonly dispatch: string;
  readonly settle: string;
}

export interface State {
  readonly Type: 'Task' | 'Fail';
  readonly Next?: string;
  readonly End?: boolean;
  readonly [field: string]: unknown;
}

export interface Definition {
  readonly Comment: string;
  readonly QueryLanguage: 'JSONata';
  readonly StartAt: string;
  readonly TimeoutSeconds: number;
  readonly States: Readonly<Record<string, State>>;
}

const FAILED = 'Failed';
/** For a function that returns at once: above its own time limit. */
const FUNCTION_SECONDS = 60;
/** Retries of Settle included: see `retry-policies.ts`. */
const SETTLE_SECONDS = 5 * 60;
const EXECUTION_SECONDS = TIMES.operationDeadlineSeconds + TIMES.undoSeconds + SETTLE_SECONDS;

const expression = (jsonata: string) => `{% ${jsonata} %}`;

/** Seconds until the deadline. At least 2, because a heartbeat must be shorter than the time limit. */
const SECONDS_LEFT =
  `$max([2, ${TIMES.operationDeadlineSeconds} - ` +
  '$floor(($millis() - $toMillis($states.context.Execution.StartTime)) / 1000)])';
const waiting = (heartbeatSeconds: number) => ({
  TimeoutSeconds: expression(SECONDS_LEFT),
  HeartbeatSeconds: expression(`$min([${heartbeatSeconds}, ${SECONDS_LEFT} - 1])`),
});

const IDS = {
  tenant: expression('$states.input.tenant'),
  operationId: expression('$states.input.operationId'),
  containerId: expression('$states.input.containerId'),
  epoch: expression('$states.input.epoch'),
};
const FAILURE_INPUT = { failure: expression('$states.input.failure') };
/** Step Functions may omit the cause, and an expression without a value is an error. */
const FAILURE_OF_ERROR = {
  error: expression('$states.errorOutput.Error'),
  cause: expression("$exists($states.errorOutput.Cause) ? $states.errorOutput.Cause : ''"),
};

interface Call {
  readonly function: string;
  readonly step: string;
  readonly retry: readonly Retrier[];
  readonly payload?: Readonly<Record<string, unknown>>;
}

const callAndWait = (partition: string, call: Call) => ({
  Type: 'Task' as const,
  Resource: `arn:${partition}:states:::lambda:invoke.waitForTaskToken`,
  Arguments: {
    FunctionName: call.function,
    Payload: {
      ...IDS,
      step: call.step,
      taskToken: expression('$states.context.Task.Token'),
      ...call.payload,
    },
  },
  Retry: call.retry,
});

const callOnce = (partition: string, call: Call) => ({
  Type: 'Task' as const,
  Resource: `arn:${partition}:states:::lambda:invoke`,
  Arguments: { FunctionName: call.function, Payload: { ...IDS, step: call.step, ...call.payload } },
  TimeoutSeconds: FUNCTION_SECONDS,
  Retry: call.retry,
});

/** The failure path, from a state with an unknown failure. */
const catching = (next: string, undone?: boolean) => ({
  Catch: [
    {
      ErrorEquals: ['States.ALL'],
      Output: { ...IDS, failure: FAILURE_OF_ERROR, ...(undone === undefined ? {} : { undone }) },
      Next: next,
    },
  ],
});

const undoStates = (spec: MachineSpec, functions: MachineFunctions, partition: string) => {
  const settle = {
    ...callOnce(partition, {
      function: functions.settle,
      step: STEPS.settle,
      retry: [LAMBDA_FAILED, FUNCTION_FAILED],
      payload: { ...FAILURE_INPUT, undone: expression('$states.input.undone') },
    }),
    Output: { ...IDS, ...FAILURE_INPUT },
    Next: FAILED,
  };
  const undo = {
    ...callAndWait(partition, {
      function: functions.dispatch,
      step: STEPS.undo,
      retry: [NEVER_RETRIED, LAMBDA_FAILED],
      payload: FAILURE_INPUT,
    }),
    TimeoutSeconds: TIMES.undoSeconds,
    HeartbeatSeconds: TIMES.undoSeconds - 1,
    Output: { ...IDS, ...FAILURE_INPUT, undone: true },
    // The first failure is reported. `undone` states whether Undo succeeded.
    Catch: [
      {
        ErrorEquals: ['States.ALL'],
        Output: { ...IDS, ...FAILURE_INPUT, undone: false },
        Next: STEPS.settle,
      },
    ],
    Next: STEPS.settle,
  };
  const failed: State = {
    Type: 'Fail',
    Error: expression('$states.input.failure.error'),
    Cause: expression('$states.input.failure.cause'),
  };
  return { ...(spec.undo ? { [STEPS.undo]: undo } : {}), [STEPS.settle]: settle, [FAILED]: failed };
};

/**
 * @param functions ARNs (or CDK tokens).
 * @param partition of the ARNs of Step Functions' integrations, such as `aws`.
 */
export const buildDefinition = (
  spec: MachineSpec,
  functions: MachineFunctions,
  partition: string,
): Definition => {
  const states: Record<string, State> = {};
  const back = spec.undo ? catching(STEPS.undo) : catching(STEPS.settle, false);
  for (const [index, step] of spec.steps.entries()) {
    const next = spec.steps[index + 1];
    const onward = { Output: IDS, ...(next === undefined ? { End: true } : { Next: next }) };
    if (step === STEPS.place) {
      const retry = [NEVER_RETRIED, PLACEMENT_WAITS, LAMBDA_FAILED];
      states[step] = {
        ...callAndWait(partition, { function: functions.place, step, retry }),
        ...waiting(TIMES.placementRetrySeconds),
        // No command has been sent to a host yet: there is nothing to undo.
        ...catching(STEPS.settle, true),
        ...onward,
      };
    } else {
      const retry = [NEVER_RETRIED, LAMBDA_FAILED];
      states[step] = {
        ...callAndWait(partition, { function: functions.dispatch, step, retry }),
        ...waiting(TIMES.commandHeartbeatSeconds),
        ...back,
        ...onward,
      };
    }
  }
  return {
    Comment: spec.comment,
    QueryLanguage: 'JSONata',
    StartAt: spec.steps[0] ?? (spec.undo ? STEPS.undo : STEPS.settle),
    TimeoutSeconds: EXECUTION_SECONDS,
    States: { ...states, ...undoStates(spec, functions, partition) },
  };
};
