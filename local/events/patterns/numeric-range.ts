import { InvalidPatternError } from './invalid-pattern-error.ts';
import type { Json } from './json.ts';

type NumberTest = (value: number) => boolean;
const OPERATORS = ['=', '<', '<=', '>', '>='] as const;
type Operator = (typeof OPERATORS)[number];

const isOperator = (value: Json | undefined): value is Operator => {
  return OPERATORS.some((operator) => operator === value);
};

const threshold = (operator: Operator, value: Json | undefined): number => {
  if (typeof value !== 'number') {
    throw new InvalidPatternError(`Value of ${operator === '=' ? 'equals' : operator} must be numeric`);
  }
  return value;
};

const comparison = (operator: Operator, bound: number): NumberTest => {
  switch (operator) {
    case '=':
      return (value) => value === bound;
    case '<':
      return (value) => value < bound;
    case '<=':
      return (value) => value <= bound;
    case '>':
      return (value) => value > bound;
    case '>=':
      return (value) => value >= bound;
  }
};

const operatorAt = (operand: Json[], index: number, message: string): Operator => {
  const operator = operand[index];
  if (typeof operator !== 'string') {
    throw new InvalidPatternError(`${message}: ${operator === undefined ? ']' : JSON.stringify(operator)}`);
  }
  if (!isOperator(operator)) {
    throw new InvalidPatternError(`Unrecognized numeric range operator: ${operator}`);
  }
  return operator;
};

/**
 * @param operand `[op, n]`, or a range with its lower bound first, `['>', 0, '<=', 5]`
 * @throws InvalidPatternError
 */
export const numericMatcher = (operand: Json): NumberTest => {
  if (!Array.isArray(operand)) throw new InvalidPatternError('Value of numeric must be an array.');
  const lower = operatorAt(operand, 0, 'Invalid member in numeric match');
  const bottom = threshold(lower, operand[1]);
  const first = comparison(lower, bottom);
  if (operand.length === 2) return first;
  if (lower !== '>' && lower !== '>=') {
    throw new InvalidPatternError('Too many elements in numeric expression');
  }
  const upper = operatorAt(operand, 2, 'Bad value in numeric range');
  if (upper !== '<' && upper !== '<=') {
    throw new InvalidPatternError(`Bad numeric range operator: ${upper}`);
  }
  const top = threshold(upper, operand[3]);
  if (operand.length > 4) throw new InvalidPatternError('Too many terms in numeric range expression');
  if (bottom >= top) throw new InvalidPatternError('Bottom must be less than top');
  const second = comparison(upper, top);
  return (value) => first(value) && second(value);
};
