import { FilterParser } from './json-path-filter.ts';
import type { JsonPath, PathReader, Step } from './json-path-syntax.ts';

export class PathSyntaxError extends Error {
  override readonly name = 'PathSyntaxError';
}

const FUNCTIONS = new Set(['length', 'min', 'max', 'avg', 'sum', 'keys']);

/** Reads the steps of a path from a text; also used for the `@` and `$` paths inside filters. */
class StepReader implements PathReader {
  readonly text: string;
  position: number;

  constructor(text: string, position = 0) {
    this.text = text;
    this.position = position;
  }

  get done(): boolean {
    return this.position >= this.text.length;
  }

  fail(message: string): never {
    throw new PathSyntaxError(`${message} at position ${this.position} of '${this.text}'`);
  }

  #match(pattern: RegExp): RegExpExecArray | undefined {
    pattern.lastIndex = this.position;
    const found = pattern.exec(this.text);
    if (!found) return undefined;
    this.position = pattern.lastIndex;
    return found;
  }

  /** @param stopAtOperator inside a filter a name ends before an operator */
  steps(stopAtOperator: boolean): Step[] {
    const steps: Step[] = [];
    while (!this.done) {
      const char = this.text.charAt(this.position);
      if (char !== '.' && char !== '[') break;
      steps.push(...this.#step(stopAtOperator));
    }
    return steps;
  }

  #step(stopAtOperator: boolean): Step[] {
    if (this.#match(/\.\./y)) {
      const descend: Step = { kind: 'descend' };
      if (this.text.charAt(this.position) === '[') return [descend, this.#bracket()];
      return [descend, this.#dotted(stopAtOperator)];
    }
    if (this.#match(/\./y)) {
      if (this.text.charAt(this.position) === '[') return [this.#bracket()];
      return [this.#dotted(stopAtOperator)];
    }
    return [this.#bracket()];
  }

  #dotted(stopAtOperator: boolean): Step {
    if (this.#match(/\*/y)) return { kind: 'wildcard' };
    const call = this.#match(/([A-Za-z]+)\(\)/y);
    if (call?.[1] !== undefined) {
      if (!FUNCTIONS.has(call[1])) this.fail(`Unsupported JSONPath function '${call[1]}()'`);
      return { kind: 'function', name: call[1] };
    }
    const name = this.#match(stopAtOperator ? /[^\s.[\]()=<>!&|,~]+/y : /[^\s.[\]()]+/y)?.[0];
    if (name === undefined) this.fail('Expected a property name');
    return { kind: 'names', names: [name] };
  }

  #bracket(): Step {
    if (!this.#match(/\[\s*/y)) this.fail("Expected '['");
    const step = this.#bracketBody();
    if (!this.#match(/\s*\]/y)) this.fail("Expected ']'");
    return step;
  }

  #bracketBody(): Step {
    if (this.#match(/\*/y)) return { kind: 'wildcard' };
    if (this.#match(/\?\s*\(/y)) {
      const parser = new FilterParser(this);
      const filter = parser.parse();
      if (!this.#match(/\s*\)/y)) this.fail("Expected ')'");
      return { kind: 'filter', filter };
    }
    const slice = this.#match(/(-?\d+)?\s*:\s*(-?\d+)?/y);
    if (slice) {
      const number = (digits: string | undefined) => (digits === undefined ? undefined : Number(digits));
      return { kind: 'slice', from: number(slice[1]), to: number(slice[2]) };
    }
    const quote = this.text.charAt(this.position);
    return quote === "'" || quote === '"' ? this.#quotedNames() : this.#indices();
  }

  #quotedNames(): Step {
    const names: string[] = [];
    do names.push(this.quoted());
    while (this.#match(/\s*,\s*/y));
    return { kind: 'names', names };
  }

  quoted(): string {
    const found = this.#match(/'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)"/y);
    if (!found) this.fail('Expected a quoted string');
    return (found[1] ?? found[2] ?? '').replace(/\\(.)/g, '$1');
  }

  #indices(): Step {
    const indices: number[] = [];
    do {
      const digits = this.#match(/-?\d+/y)?.[0];
      if (digits === undefined) this.fail('Expected an array index');
      indices.push(Number(digits));
    } while (this.#match(/\s*,\s*/y));
    return { kind: 'indices', indices };
  }
}

export const isDefinite = (steps: Step[]): boolean => {
  return steps.every(
    (step) =>
      (step.kind === 'names' && step.names.length === 1) ||
      (step.kind === 'indices' && step.indices.length === 1) ||
      step.kind === 'function',
  );
};

const cache = new Map<string, JsonPath>();

/**
 * @param text `$…`, `$$…` or `$variable…`; script expressions are not part of the grammar, and nothing
 *   is evaluated as code
 * @throws PathSyntaxError
 */
export const parsePath = (text: string): JsonPath => {
  const known = cache.get(text);
  if (known) return known;
  const head = /^\$(\$|[\p{ID_Start}_][\p{ID_Continue}]*)?/u.exec(text);
  if (!head) throw new PathSyntaxError(`'${text}' is not a JSONPath`);
  const reader = new StepReader(text, head[0].length);
  const steps = reader.steps(false);
  if (!reader.done) reader.fail('Unexpected character');
  const name = head[1];
  const root: JsonPath['root'] =
    name === undefined ? { kind: 'data' } : name === '$' ? { kind: 'context' } : { kind: 'variable', name };
  const path = { text, root, steps, definite: isDefinite(steps) };
  cache.set(text, path);
  return path;
};

/** A Reference Path: only names and single indices, so that it can be written to. */
export const isReferencePath = (path: JsonPath): boolean => {
  return path.steps.every(
    (step) =>
      (step.kind === 'names' && step.names.length === 1) ||
      (step.kind === 'indices' && step.indices.length === 1),
  );
};
