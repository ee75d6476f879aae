import { isObject, type Json, type JsonObject } from '../json.ts';
import { isExpression } from '../query/jsonata.ts';
import type { Checker } from './checker.ts';
import { COMPARISONS, type QueryLanguage } from './state-fields.ts';

const RULE_FIELDS = ['Next', 'Comment', 'Assign'];

const operandType = (operator: string): string => {
  if (operator.endsWith('Path')) return 'path';
  if (operator.startsWith('Is') || operator.startsWith('Boolean')) return 'boolean';
  return operator.startsWith('Numeric') ? 'number' : 'string';
};

const checkOperand = (checker: Checker, operator: string, operand: Json, path: string): void => {
  const type = operandType(operator);
  if (type === 'path') checker.path(operand, path);
  else if (typeof operand !== type) {
    checker.refuse(path, operator, `Expected value of type [${type.toUpperCase()}]`);
  }
};

const checkComparison = (checker: Checker, rule: JsonObject, path: string, own: string[]): void => {
  const known = new Set([...own, 'Variable', ...COMPARISONS]);
  checker.onlyFields(rule, known, path, (field) => `Field '${field}' is not supported in a Choice rule`);
  if (typeof rule.Variable !== 'string') checker.refuse(`${path}/Variable`, 'Variable', 'Field is required');
  else checker.path(rule.Variable, `${path}/Variable`);
  const operators = Object.keys(rule).filter((field) => COMPARISONS.has(field));
  if (operators.length !== 1) {
    checker.refuse(path, 'Choices', 'A Choice rule needs exactly one comparison operator');
  }
  for (const operator of operators) {
    checkOperand(checker, operator, rule[operator] ?? null, `${path}/${operator}`);
  }
};

const checkRule = (checker: Checker, rule: Json, path: string, own: string[]): void => {
  if (!isObject(rule)) {
    checker.refuse(path, 'Choices', 'Expected value of type [OBJECT]');
    return;
  }
  const connective = ['And', 'Or', 'Not'].find((name) => name in rule);
  if (connective === undefined) {
    checkComparison(checker, rule, path, own);
    return;
  }
  checker.onlyFields(
    rule,
    new Set([...own, connective]),
    path,
    (field) => `Field '${field}' is not supported in a Choice rule`,
  );
  const operand = rule[connective] ?? null;
  if (connective === 'Not') checkRule(checker, operand, `${path}/Not`, ['Comment']);
  else if (!Array.isArray(operand) || operand.length === 0) {
    checker.refuse(`${path}/${connective}`, connective, 'Expected a non-empty array');
  } else {
    for (const [i, part] of operand.entries()) {
      checkRule(checker, part, `${path}/${connective}[${i}]`, ['Comment']);
    }
  }
};

const checkCondition = (checker: Checker, rule: Json, path: string): void => {
  if (!isObject(rule)) {
    checker.refuse(path, 'Choices', 'Expected value of type [OBJECT]');
    return;
  }
  const known = new Set([...RULE_FIELDS, 'Condition', 'Output']);
  checker.onlyFields(
    rule,
    known,
    path,
    (field) => `Field '${field}' is not supported in a JSONata Choice rule`,
  );
  if (typeof rule.Condition !== 'boolean' && !isExpression(rule.Condition)) {
    checker.refuse(`${path}/Condition`, 'Condition', 'Expected a JSONata expression or a boolean');
  }
  checker.jsonata(rule, path);
};

export const checkChoices = (
  checker: Checker,
  state: JsonObject,
  language: QueryLanguage,
  path: string,
  checkTarget: (value: Json | undefined, path: string) => void,
): void => {
  const { Choices: choices } = state;
  if (!Array.isArray(choices) || choices.length === 0) {
    checker.refuse(`${path}/Choices`, 'Choices', 'Expected a non-empty array');
    return;
  }
  for (const [i, rule] of choices.entries()) {
    const at = `${path}/Choices[${i}]`;
    if (language === 'JSONata') checkCondition(checker, rule, at);
    else {
      checkRule(checker, rule, at, RULE_FIELDS);
      if (isObject(rule)) checker.template(rule.Assign, `${at}/Assign`);
    }
    if (isObject(rule)) checkTarget(rule.Next, `${at}/Next`);
  }
  if (state.Default !== undefined) checkTarget(state.Default, `${path}/Default`);
};
