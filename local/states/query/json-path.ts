import { isObject, type Json, type JsonObject, jsonEquals } from '../json.ts';
import { isDefinite } from './json-path-parser.ts';
import type { Filter, JsonPath, Operand, Step } from './json-path-syntax.ts';

/** A definite path without a value. `leaf` is true if only the last step failed. */
export class PathNotFound extends Error {
  override readonly name = 'PathNotFound';
  readonly leaf: boolean;
  /** The part of the path that was followed, in bracket notation. */
  readonly reached: string;
  /** An index past the end of an array that exists. */
  readonly pastEnd: boolean;

  constructor(reached: string, leaf: boolean, pastEnd: boolean) {
    super(leaf ? `No results for path: ${reached}` : `Missing property in path ${reached}`);
    this.reached = reached;
    this.leaf = leaf;
    this.pastEnd = pastEnd;
  }
}

const children = (value: Json): Json[] => {
  if (Array.isArray(value)) return value;
  return isObject(value) ? Object.values(value) : [];
};

const descendants = (value: Json): Json[] => {
  return [value, ...children(value).flatMap(descendants)];
};

const at = (values: Json[], index: number): Json | undefined => {
  return values.at(index);
};

const named = (value: Json, name: string): Json | undefined => {
  return isObject(value) && Object.hasOwn(value, name) ? value[name] : undefined;
};

const numbers = (value: Json): number[] => {
  return children(value).filter((item) => typeof item === 'number');
};

const applyFunction = (name: string, value: Json): Json | undefined => {
  if (name === 'keys') return isObject(value) ? Object.keys(value) : undefined;
  if (name === 'length') {
    if (typeof value === 'string') return value.length;
    return typeof value === 'object' && value !== null ? children(value).length : undefined;
  }
  const all = numbers(value);
  if (all.length === 0) return undefined;
  const sum = all.reduce((total, item) => total + item, 0);
  const results: Record<string, number> = {
    min: Math.min(...all),
    max: Math.max(...all),
    sum,
    avg: sum / all.length,
  };
  return results[name];
};

/** The matches of a step below one value; empty without a match. */
const follow = (step: Step, value: Json, root: Json): (Json | undefined)[] => {
  switch (step.kind) {
    case 'names':
      return step.names.length === 1 || !isObject(value)
        ? step.names.map((name) => named(value, name))
        : [
            Object.fromEntries(
              step.names.flatMap((name) => (name in value ? [[name, value[name] ?? null]] : [])),
            ),
          ];
    case 'indices':
      return step.indices.map((index) => (Array.isArray(value) ? at(value, index) : undefined));
    case 'slice':
      return Array.isArray(value) ? value.slice(step.from ?? 0, step.to) : [undefined];
    case 'wildcard':
      return children(value);
    case 'descend':
      return descendants(value);
    case 'filter': {
      const candidates = Array.isArray(value) ? value : [value];
      return candidates.filter((candidate) => passes(step.filter, candidate, root));
    }
    case 'function':
      return [applyFunction(step.name, value)];
  }
};

const operandValue = (operand: Operand, current: Json, root: Json): Json | undefined => {
  if (operand.kind === 'literal') return operand.value;
  if (operand.kind === 'regex') return undefined;
  const from = operand.kind === 'current' ? current : root;
  const found = operand.steps.reduce<Json[]>(
    (values, step) => values.flatMap((value) => follow(step, value, root).filter((v) => v !== undefined)),
    [from],
  );
  return isDefinite(operand.steps) ? found[0] : found;
};

const ordered = (operator: string, left: Json | undefined, right: Json | undefined): boolean => {
  const comparable =
    (typeof left === 'number' && typeof right === 'number') ||
    (typeof left === 'string' && typeof right === 'string');
  if (!comparable) return false;
  if (operator === '<') return left < right;
  if (operator === '<=') return left <= right;
  return operator === '>' ? left > right : left >= right;
};

const compare = (filter: Extract<Filter, { kind: 'compare' }>, current: Json, root: Json): boolean => {
  const left = operandValue(filter.left, current, root);
  if (filter.operator === '=~') {
    return filter.right.kind === 'regex' && typeof left === 'string' && filter.right.regex.test(left);
  }
  const right = operandValue(filter.right, current, root);
  const equal = left === undefined || right === undefined ? left === right : jsonEquals(left, right);
  switch (filter.operator) {
    case '==':
      return equal;
    case '!=':
      return !equal;
    case 'in':
    case 'nin': {
      const inside =
        Array.isArray(right) && left !== undefined && right.some((item) => jsonEquals(item, left));
      return inside === (filter.operator === 'in');
    }
    default:
      return ordered(filter.operator, left, right);
  }
};

const passes = (filter: Filter, current: Json, root: Json): boolean => {
  switch (filter.kind) {
    case 'or':
      return filter.parts.some((part) => passes(part, current, root));
    case 'and':
      return filter.parts.every((part) => passes(part, current, root));
    case 'not':
      return !passes(filter.part, current, root);
    case 'exists':
      return operandValue(filter.operand, current, root) !== undefined;
    case 'compare':
      return compare(filter, current, root);
  }
};

const describe = (step: Step): string => {
  if (step.kind === 'names') return step.names.map((name) => `['${name}']`).join('');
  if (step.kind === 'indices') return `[${step.indices.join(',')}]`;
  return step.kind === 'wildcard' ? '[*]' : '';
};

/**
 * Follows a path from a root value with the semantics of AWS's engine (Jayway): a definite path must have
 * a value; an indefinite one gives an array, possibly empty, if its definite beginning exists.
 * @throws PathNotFound
 */
export const evaluatePath = (path: JsonPath, root: Json): Json => {
  let values: Json[] = [root];
  let definite = true;
  let reached = '$';
  path.steps.forEach((step, i) => {
    const leaf = i === path.steps.length - 1;
    reached += describe(step);
    const found = values.flatMap((value) => follow(step, value, root));
    const single = isDefinite([step]);
    if (definite && found.length > 0 && found.every((value) => value === undefined)) {
      const pastEnd = step.kind === 'indices' && values.every((value) => Array.isArray(value));
      if (single || step.kind === 'slice') throw new PathNotFound(reached, leaf, pastEnd);
    }
    definite &&= single;
    values = found.filter((value) => value !== undefined);
  });
  return path.definite ? (values[0] ?? null) : values;
};

const placeAt = (container: Json | undefined, steps: Step[], value: Json): Json => {
  const [step, ...rest] = steps;
  if (!step) return value;
  if (step.kind === 'indices') {
    const index = step.indices[0] ?? 0;
    if (!Array.isArray(container) || container.length <= index || index < 0) {
      throw new PathNotFound(`[${index}]`, true, false);
    }
    return container.map((item, i) => (i === index ? placeAt(item, rest, value) : item));
  }
  const name = step.kind === 'names' ? (step.names[0] ?? '') : '';
  const object: JsonObject = isObject(container) ? container : {};
  if (container !== undefined && container !== null && !isObject(container)) {
    throw new PathNotFound(`['${name}']`, true, false);
  }
  return { ...object, [name]: placeAt(object[name], rest, value) };
};

/**
 * The value with another one set at a Reference Path. Missing objects on the way are created.
 * @throws PathNotFound if the path leads through a value that is not an object, or past an array's end
 */
export const placeValue = (path: JsonPath, root: Json, value: Json): Json => {
  return placeAt(root, path.steps, value);
};
