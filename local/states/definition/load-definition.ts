import { isObject, type Json, type JsonObject } from '../json.ts';
import { checkState } from './check-state.ts';
import { checkVariables } from './check-variables.ts';
import { Checker } from './checker.ts';
import { DefinitionRefusedError } from './refused-error.ts';
import type { QueryLanguage } from './state-fields.ts';

/** A checked definition: every field in it is implemented. */
export interface LoadedDefinition {
  source: string;
  root: JsonObject;
  language: QueryLanguage;
  timeoutSeconds: number | undefined;
}

const TOP_LEVEL = new Set(['StartAt', 'States', 'Comment', 'Version', 'TimeoutSeconds', 'QueryLanguage']);

/**
 * Checks a set of states: StartAt, the states' names, every transition's target.
 */
const checkScope = (checker: Checker, scope: JsonObject, path: string, language: QueryLanguage): void => {
  const { States: states, StartAt: startAt } = scope;
  if (!isObject(states) || Object.keys(states).length === 0) {
    checker.refuse(`${path}/States`, 'States', 'Expected a non-empty object');
    return;
  }
  const checkTarget = (value: Json | undefined, at: string) => {
    if (typeof value !== 'string' || !Object.hasOwn(states, value)) {
      checker.refuse(
        at,
        at.slice(at.lastIndexOf('/') + 1),
        `MISSING_TRANSITION_TARGET: Missing state '${value}'`,
      );
    }
  };
  checkTarget(startAt, `${path}/StartAt`);
  const outer = checker.outerVariables;
  checker.outerVariables = checkVariables(checker, states, path);
  for (const [name, state] of Object.entries(states)) {
    const at = `${path}/States/${name}`;
    if (name.length > 80) checker.refuse(at, 'States', 'A state name has at most 80 characters');
    if (isObject(state)) checkState(checker, state, at, language, checkTarget);
    else checker.refuse(at, 'States', 'Expected value of type [OBJECT]');
  }
  checker.outerVariables = outer;
};

const languageOf = (checker: Checker, root: JsonObject): QueryLanguage => {
  const { QueryLanguage: language } = root;
  if (language === undefined || language === 'JSONPath') return 'JSONPath';
  if (language !== 'JSONata') {
    checker.refuse(
      '/QueryLanguage',
      'QueryLanguage',
      'Value should be one of the following: [JSONPath, JSONata]',
    );
  }
  return 'JSONata';
};

/**
 * Parses and checks an Amazon States Language definition.
 * @throws DefinitionRefusedError naming each feature that is invalid or not implemented, with its path
 */
export const loadDefinition = (source: string): LoadedDefinition => {
  const checker = new Checker(checkScope);
  let root: unknown;
  try {
    root = JSON.parse(source);
  } catch (error) {
    checker.refuse('/', 'definition', `INVALID_JSON_DESCRIPTION: ${(error as Error).message}`);
    throw new DefinitionRefusedError(checker.refusals);
  }
  if (!isObject(root)) {
    checker.refuse('/', 'definition', 'INVALID_JSON_DESCRIPTION: a definition must be a JSON object');
    throw new DefinitionRefusedError(checker.refusals);
  }
  checker.onlyFields(root, TOP_LEVEL, '', (field) => `Field '${field}' is not supported`);
  const language = languageOf(checker, root);
  checker.integer(root.TimeoutSeconds, '/TimeoutSeconds', 0);
  checker.string(root.Comment, '/Comment');
  if (root.Version !== undefined && root.Version !== '1.0') {
    checker.refuse('/Version', 'Version', "Value should be '1.0'");
  }
  checkScope(checker, root, '', language);
  if (checker.refusals.length > 0) throw new DefinitionRefusedError(checker.refusals);
  const timeoutSeconds = typeof root.TimeoutSeconds === 'number' ? root.TimeoutSeconds : undefined;
  return { source, root, language, timeoutSeconds };
};
