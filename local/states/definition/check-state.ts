import { isObject, type Json, type JsonObject } from '../json.ts';
import { isExpression } from '../query/jsonata.ts';
import { checkChoices } from './check-choice.ts';
import { checkRecovery } from './check-recovery.ts';
import type { Checker } from './checker.ts';
import { allowedFields, type QueryLanguage, refusalOf, STATE_TYPES, type StateType } from './state-fields.ts';
import { parseResource } from './task-resource.ts';

type CheckTarget = (value: Json | undefined, path: string) => void;
type Check = (
  checker: Checker,
  state: JsonObject,
  path: string,
  language: QueryLanguage,
  machine: QueryLanguage,
) => void;

const MAX_SECONDS = 99_999_999;

/** A field that is either a plain value or, in JSONata, an expression. */
const plainOrExpression = (state: JsonObject, field: string, language: QueryLanguage): Json | undefined => {
  const value = state[field];
  return language === 'JSONata' && isExpression(value) ? undefined : value;
};

const seconds = (
  checker: Checker,
  state: JsonObject,
  field: string,
  path: string,
  language: QueryLanguage,
  least: number,
): void => {
  const value = plainOrExpression(state, field, language);
  checker.integer(value, `${path}/${field}`, least);
  if (typeof value === 'number' && value > MAX_SECONDS) {
    checker.refuse(`${path}/${field}`, field, `Value should be at most ${MAX_SECONDS}`);
  }
};

const exactlyOne = (checker: Checker, state: JsonObject, fields: string[], path: string): void => {
  if (fields.filter((field) => state[field] !== undefined).length !== 1) {
    checker.refuse(path, fields[0] ?? '', `Exactly one of ${fields.join(', ')} is required`);
  }
};

const atMostOne = (checker: Checker, state: JsonObject, fields: string[], path: string): void => {
  if (fields.filter((field) => state[field] !== undefined).length > 1) {
    checker.refuse(path, fields[0] ?? '', `Only one of ${fields.join(', ')} is allowed`);
  }
};

const checkTask: Check = (checker, state, path, language) => {
  const { Resource: resource } = state;
  const parsed = typeof resource === 'string' ? parseResource(resource) : undefined;
  if (!parsed) {
    checker.refuse(`${path}/Resource`, 'Resource', `Resource '${resource}' is not supported`);
  }
  atMostOne(checker, state, ['TimeoutSeconds', 'TimeoutSecondsPath'], path);
  atMostOne(checker, state, ['HeartbeatSeconds', 'HeartbeatSecondsPath'], path);
  seconds(checker, state, 'TimeoutSeconds', path, language, 1);
  seconds(checker, state, 'HeartbeatSeconds', path, language, 1);
  const { TimeoutSeconds: timeout, HeartbeatSeconds: heartbeat } = state;
  if (typeof timeout === 'number' && typeof heartbeat === 'number' && heartbeat >= timeout) {
    checker.refuse(
      `${path}/HeartbeatSeconds`,
      'HeartbeatSeconds',
      'HeartbeatSeconds must be less than TimeoutSeconds',
    );
  }
  const template = JSON.stringify(state.Parameters ?? state.Arguments ?? null);
  const waits =
    parsed && (('token' in parsed && parsed.token) || ('mode' in parsed && parsed.mode === 'token'));
  if (waits && !/\$\$\.Task\.Token|\$states\.context\.Task\.Token|"\$\$"|\$states\.context/.test(template)) {
    checker.refuse(path, 'Resource', 'A .waitForTaskToken task must pass its task token on');
  }
};

const TIMESTAMP = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:\d{2})$/;

const checkWait: Check = (checker, state, path, language) => {
  exactlyOne(checker, state, ['Seconds', 'SecondsPath', 'Timestamp', 'TimestampPath'], path);
  seconds(checker, state, 'Seconds', path, language, 0);
  const timestamp = plainOrExpression(state, 'Timestamp', language);
  if (timestamp !== undefined && !(typeof timestamp === 'string' && TIMESTAMP.test(timestamp))) {
    checker.refuse(`${path}/Timestamp`, 'Timestamp', 'Expected an ISO-8601 timestamp');
  }
};

const checkFail: Check = (checker, state, path) => {
  atMostOne(checker, state, ['Error', 'ErrorPath'], path);
  atMostOne(checker, state, ['Cause', 'CausePath'], path);
  checker.string(state.Error, `${path}/Error`);
  checker.string(state.Cause, `${path}/Cause`);
};

const checkParallel: Check = (checker, state, path, _language, machine) => {
  const { Branches: branches } = state;
  if (!Array.isArray(branches) || branches.length === 0) {
    checker.refuse(`${path}/Branches`, 'Branches', 'Expected a non-empty array');
    return;
  }
  for (const [i, branch] of branches.entries()) {
    const at = `${path}/Branches/${i}`;
    if (!isObject(branch)) {
      checker.refuse(at, 'Branches', 'Expected value of type [OBJECT]');
      continue;
    }
    checker.onlyFields(
      branch,
      new Set(['StartAt', 'States', 'Comment']),
      at,
      (field) => `Field '${field}' is not supported in a branch`,
    );
    checker.scope(branch, at, machine);
  }
};

const checkProcessorConfig = (checker: Checker, config: Json | undefined, path: string): boolean => {
  if (config === undefined) return false;
  if (!isObject(config)) {
    checker.refuse(path, 'ProcessorConfig', 'Expected value of type [OBJECT]');
    return false;
  }
  const known = new Set(['Mode', 'ExecutionType', 'Comment']);
  checker.onlyFields(config, known, path, (field) => `Field '${field}' is not supported in ProcessorConfig`);
  const { Mode: mode = 'INLINE', ExecutionType: type } = config;
  if (mode !== 'INLINE' && mode !== 'DISTRIBUTED') {
    checker.refuse(`${path}/Mode`, 'Mode', 'Value should be one of [INLINE, DISTRIBUTED]');
  }
  if (type !== undefined && type !== 'STANDARD') {
    checker.refuse(`${path}/ExecutionType`, 'ExecutionType', `ExecutionType '${type}' is not supported`);
  }
  return mode === 'DISTRIBUTED';
};

const INLINE_ONLY_REFUSED = [
  'ToleratedFailureCount',
  'ToleratedFailureCountPath',
  'ToleratedFailurePercentage',
  'ToleratedFailurePercentagePath',
  'Label',
];

const checkMap: Check = (checker, state, path, language, machine) => {
  exactlyOne(checker, state, ['ItemProcessor', 'Iterator'], path);
  atMostOne(checker, state, ['ItemSelector', 'Parameters'], path);
  atMostOne(checker, state, ['MaxConcurrency', 'MaxConcurrencyPath'], path);
  atMostOne(checker, state, ['ToleratedFailureCount', 'ToleratedFailureCountPath'], path);
  atMostOne(checker, state, ['ToleratedFailurePercentage', 'ToleratedFailurePercentagePath'], path);
  checker.integer(plainOrExpression(state, 'MaxConcurrency', language), `${path}/MaxConcurrency`, 0);
  checker.integer(
    plainOrExpression(state, 'ToleratedFailureCount', language),
    `${path}/ToleratedFailureCount`,
    0,
  );
  const percentage = plainOrExpression(state, 'ToleratedFailurePercentage', language);
  checker.number(percentage, `${path}/ToleratedFailurePercentage`, 0, 100);
  const items = state.Items;
  if (items !== undefined && !Array.isArray(items) && !isExpression(items)) {
    checker.refuse(`${path}/Items`, 'Items', 'Expected an array or a JSONata expression');
  }
  const field = state.ItemProcessor === undefined ? 'Iterator' : 'ItemProcessor';
  const processor = state[field];
  if (!isObject(processor)) {
    checker.refuse(`${path}/${field}`, field, 'Expected value of type [OBJECT]');
    return;
  }
  const at = `${path}/${field}`;
  const known = new Set(['StartAt', 'States', 'ProcessorConfig', 'Comment']);
  checker.onlyFields(processor, known, at, (name) => `Field '${name}' is not supported`);
  const distributed = checkProcessorConfig(checker, processor.ProcessorConfig, `${at}/ProcessorConfig`);
  if (!distributed) {
    for (const name of INLINE_ONLY_REFUSED.filter((candidate) => state[candidate] !== undefined)) {
      checker.refuse(`${path}/${name}`, name, `Field '${name}' is not supported in an inline Map state`);
    }
  }
  // Child executions of a distributed Map are separate executions and see no outer variables.
  const outer = checker.outerVariables;
  if (distributed) checker.outerVariables = new Set();
  checker.scope(processor, at, machine);
  checker.outerVariables = outer;
};

const CHECKS: Partial<Record<StateType, Check>> = {
  Task: checkTask,
  Wait: checkWait,
  Fail: checkFail,
  Parallel: checkParallel,
  Map: checkMap,
};

const checkFlow = (checker: Checker, state: JsonObject, path: string, checkTarget: CheckTarget): void => {
  const { Next: next, End: end } = state;
  if (end !== undefined && typeof end !== 'boolean') {
    checker.refuse(`${path}/End`, 'End', 'Expected value of type [BOOLEAN]');
  }
  if ((next === undefined) === (end !== true)) {
    checker.refuse(path, 'Next', 'Exactly one of Next and End is required');
  }
  if (next !== undefined) checkTarget(next, `${path}/Next`);
};

const PATH_FIELDS = ['InputPath', 'OutputPath'];
const VALUE_PATHS = [
  'ItemsPath',
  'SecondsPath',
  'TimestampPath',
  'TimeoutSecondsPath',
  'HeartbeatSecondsPath',
  'MaxConcurrencyPath',
  'ToleratedFailureCountPath',
  'ToleratedFailurePercentagePath',
];
const TEMPLATES = ['Parameters', 'ResultSelector', 'ItemSelector', 'Assign'];
const EXPRESSIONS = ['Arguments', 'Output', 'Assign', 'Items', 'ItemSelector', 'Error', 'Cause', 'Seconds'];
const MORE_EXPRESSIONS = ['Timestamp', 'TimeoutSeconds', 'HeartbeatSeconds', 'MaxConcurrency'];
const TOLERANCES = ['ToleratedFailureCount', 'ToleratedFailurePercentage'];

const checkQueries = (checker: Checker, state: JsonObject, path: string, language: QueryLanguage): void => {
  if (language === 'JSONata') {
    for (const field of [...EXPRESSIONS, ...MORE_EXPRESSIONS, ...TOLERANCES]) {
      checker.jsonata(state[field], `${path}/${field}`);
    }
    return;
  }
  for (const field of PATH_FIELDS) checker.path(state[field], `${path}/${field}`, { nullable: true });
  checker.path(state.ResultPath, `${path}/ResultPath`, { nullable: true, reference: true });
  for (const field of VALUE_PATHS) checker.path(state[field], `${path}/${field}`);
  for (const field of ['ErrorPath', 'CausePath']) checker.pathOrIntrinsic(state[field], `${path}/${field}`);
  for (const field of TEMPLATES) checker.template(state[field], `${path}/${field}`);
};

const checkAssign = (checker: Checker, assign: Json | undefined, path: string): void => {
  if (assign === undefined) return;
  if (!isObject(assign)) {
    checker.refuse(path, 'Assign', 'Expected value of type [OBJECT]');
    return;
  }
  for (const key of Object.keys(assign)) {
    const name = key.endsWith('.$') ? key.slice(0, -2) : key;
    if (name === 'states' || !/^[\p{ID_Start}_][\p{ID_Continue}]{0,79}$/u.test(name)) {
      checker.refuse(`${path}/${key}`, 'Assign', `'${name}' is not a valid variable name`);
    }
  }
};

const stateLanguage = (
  checker: Checker,
  state: JsonObject,
  path: string,
  machine: QueryLanguage,
): QueryLanguage => {
  const { QueryLanguage: language } = state;
  if (language === undefined) return machine;
  if (language !== 'JSONPath' && language !== 'JSONata') {
    const message = 'Value should be one of the following: [JSONPath, JSONata]';
    checker.refuse(`${path}/QueryLanguage`, 'QueryLanguage', message);
    return machine;
  }
  if (language === 'JSONPath' && machine === 'JSONata') {
    const message = "'QueryLanguage' can not be 'JSONPath' if set to 'JSONata' for whole state machine";
    checker.refuse(path, 'QueryLanguage', message);
  }
  return language;
};

/** @param machine the state machine's query language, which a state may override */
export const checkState = (
  checker: Checker,
  state: JsonObject,
  path: string,
  machine: QueryLanguage,
  checkTarget: CheckTarget,
): void => {
  const type = STATE_TYPES.find((candidate) => candidate === state.Type);
  if (type === undefined) {
    checker.refuse(`${path}/Type`, 'Type', `State type '${state.Type}' is not supported`);
    return;
  }
  const language = stateLanguage(checker, state, path, machine);
  checker.onlyFields(state, allowedFields(type, language), path, (field) => refusalOf(field, type, language));
  checker.string(state.Comment, `${path}/Comment`);
  if (type !== 'Choice' && type !== 'Succeed' && type !== 'Fail')
    checkFlow(checker, state, path, checkTarget);
  if (type === 'Choice') checkChoices(checker, state, language, path, checkTarget);
  checkRecovery(checker, state, language, path, checkTarget);
  checkQueries(checker, state, path, language);
  checkAssign(checker, state.Assign, `${path}/Assign`);
  CHECKS[type]?.(checker, state, path, language, machine);
};
