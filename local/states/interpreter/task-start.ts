import { parseResource, resourceNames } from '../definition/task-resource.ts';
import type { Json, JsonObject } from '../json.ts';
import { evaluateTemplate } from '../query/jsonata.ts';
import { applyPath, applyTemplate } from '../query/payload-template.ts';
import type { QueryScope } from '../query/scope.ts';
import { secondsField } from './field-values.ts';
import { InterpreterError } from './frames.ts';
import type { TaskWait } from './model.ts';

const taskArguments = async (state: JsonObject, jsonata: boolean, scope: QueryScope): Promise<Json> => {
  if (jsonata) {
    return state.Arguments === undefined
      ? scope.input
      : evaluateTemplate(state.Arguments, 'Arguments', scope);
  }
  const effective = applyPath(state.InputPath, scope.input, scope);
  return state.Parameters === undefined ? effective : applyTemplate(state.Parameters, effective, scope);
};

/**
 * The part of a task's attempt that must not change when the attempt is repeated after a crash.
 * @param token the attempt's id, which is Task.Token in the context object
 * @throws StateFailure
 */
export const prepareTask = async (
  state: JsonObject,
  jsonata: boolean,
  scope: QueryScope,
  token: string,
  now: number,
): Promise<TaskWait> => {
  const resourceText = String(state.Resource);
  const resource = parseResource(resourceText);
  if (!resource) throw new InterpreterError(`Resource '${resourceText}' is not supported`);
  const withToken = { ...scope, context: { ...scope.context, Task: { Token: token } } };
  const data = jsonata ? scope.input : applyPath(state.InputPath, scope.input, scope);
  const timeout = await secondsField(state, 'TimeoutSeconds', withToken, data);
  const heartbeat = await secondsField(state, 'HeartbeatSeconds', withToken, data);
  const heartbeatMs = heartbeat === undefined ? null : heartbeat * 1000;
  return {
    token,
    resource,
    resourceText,
    args: await taskArguments(state, jsonata, withToken),
    timeoutAt: timeout === undefined ? null : now + timeout * 1000,
    heartbeatMs,
    heartbeatAt: heartbeatMs === null ? null : now + heartbeatMs,
    submitted: false,
    childArn: null,
  };
};

/** The names of a task's history events, and their details. */
export const taskEvents = (task: TaskWait): { prefix: string; details: JsonObject } => {
  if (task.resource.kind === 'lambda-function') return { prefix: 'LambdaFunction', details: {} };
  return { prefix: 'Task', details: resourceNames(task.resourceText) };
};

export const scheduledDetails = (task: TaskWait, region: string, now: number): JsonObject => {
  const limits: JsonObject = {};
  if (task.timeoutAt !== null) limits.timeoutInSeconds = Math.round((task.timeoutAt - now) / 1000);
  if (task.resource.kind === 'lambda-function') {
    const input = JSON.stringify(task.args);
    return { input, inputDetails: { truncated: false }, resource: task.resource.functionArn, ...limits };
  }
  if (task.heartbeatMs !== null) limits.heartbeatInSeconds = task.heartbeatMs / 1000;
  return { ...resourceNames(task.resourceText), region, parameters: JSON.stringify(task.args), ...limits };
};
