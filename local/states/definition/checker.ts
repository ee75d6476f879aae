import type { Json, JsonObject } from '../json.ts';
import { isObject } from '../json.ts';
import { compileExpression } from '../query/compiled-expressions.ts';
import { isIntrinsic, parseIntrinsic } from '../query/intrinsic-parser.ts';
import { isReferencePath, parsePath } from '../query/json-path-parser.ts';
import { expressionText, isExpression } from '../query/jsonata.ts';
import type { Refusal } from './refused-error.ts';
import type { QueryLanguage } from './state-fields.ts';

/** Checks a StartAt and its States: the top level, a branch, an item processor. */
export type ScopeCheck = (checker: Checker, scope: JsonObject, path: string, language: QueryLanguage) => void;

/** Collects the errors of a definition for all checks. */
export class Checker {
  readonly refusals: Refusal[] = [];
  /** Variables that outer scopes assign. */
  outerVariables: ReadonlySet<string> = new Set();
  readonly #scopeCheck: ScopeCheck;

  constructor(scopeCheck: ScopeCheck) {
    this.#scopeCheck = scopeCheck;
  }

  scope(scope: JsonObject, path: string, language: QueryLanguage): void {
    this.#scopeCheck(this, scope, path, language);
  }

  refuse(path: string, feature: string, message: string): void {
    this.refusals.push({ path, feature, message });
  }

  onlyFields(object: JsonObject, allowed: Set<string>, path: string, why: (field: string) => string): void {
    for (const field of Object.keys(object)) {
      if (!allowed.has(field)) this.refuse(`${path}/${field}`, field, why(field));
    }
  }

  string(value: Json | undefined, path: string): void {
    if (value !== undefined && typeof value !== 'string') {
      this.refuse(path, lastOf(path), 'Expected value of type [STRING]');
    }
  }

  /** An integer with a minimum. */
  integer(value: Json | undefined, path: string, least: number): void {
    if (value === undefined) return;
    if (typeof value !== 'number' || !Number.isInteger(value)) {
      this.refuse(path, lastOf(path), 'Expected value of type [INTEGER]');
    } else if (value < least) {
      this.refuse(path, lastOf(path), `Value should be at least ${least}`);
    }
  }

  number(value: Json | undefined, path: string, least: number, most: number): void {
    if (value === undefined) return;
    if (typeof value !== 'number') this.refuse(path, lastOf(path), 'Expected value of type [NUMBER]');
    else if (value < least || value > most) {
      this.refuse(path, lastOf(path), `Value should be between ${least} and ${most}`);
    }
  }

  #attempt(path: string, code: string, parse: () => void): void {
    try {
      parse();
    } catch (error) {
      this.refuse(path, lastOf(path), `${code}: ${(error as Error).message}`);
    }
  }

  /** A JSONPath; a field such as InputPath can also be null. */
  path(
    value: Json | undefined,
    path: string,
    options: { nullable?: boolean; reference?: boolean } = {},
  ): void {
    if (value === undefined || (value === null && options.nullable)) return;
    if (typeof value !== 'string') {
      this.refuse(path, lastOf(path), 'Expected value of type [STRING]');
      return;
    }
    this.#attempt(path, 'INVALID_JSON_PATH', () => {
      const parsed = parsePath(value);
      if (options.reference && (!isReferencePath(parsed) || parsed.root.kind !== 'data')) {
        this.refuse(path, lastOf(path), `Value '${value}' is not a Reference Path`);
      }
    });
  }

  /** Fields whose path can also be an intrinsic function. */
  pathOrIntrinsic(value: Json | undefined, path: string): void {
    if (typeof value === 'string' && isIntrinsic(value)) {
      this.#attempt(path, 'INVALID_INTRINSIC_FUNCTION', () => parseIntrinsic(value));
    } else this.path(value, path);
  }

  template(value: Json | undefined, path: string): void {
    if (Array.isArray(value)) {
      for (const [i, item] of value.entries()) this.template(item, `${path}[${i}]`);
    }
    if (!isObject(value)) return;
    for (const [key, item] of Object.entries(value)) {
      if (key.endsWith('.$')) {
        if (typeof item !== 'string') {
          this.refuse(`${path}/${key}`, key, `The value for the field '${key}' must be a valid JSONPath`);
        } else this.pathOrIntrinsic(item, `${path}/${key}`);
      } else this.template(item, `${path}/${key}`);
    }
  }

  /** Every `{% … %}` in a value must parse; `$states.errorOutput` has a value in a catcher only. */
  jsonata(value: Json | undefined, path: string): void {
    if (isExpression(value)) {
      this.#attempt(path, 'INVALID_JSONATA_EXPRESSION', () => compileExpression(expressionText(value)));
    } else if (Array.isArray(value)) {
      for (const [i, item] of value.entries()) this.jsonata(item, `${path}[${i}]`);
    } else if (isObject(value)) {
      for (const [key, item] of Object.entries(value)) this.jsonata(item, `${path}/${key}`);
    }
  }
}

const lastOf = (path: string): string => {
  return path.slice(path.lastIndexOf('/') + 1);
};
