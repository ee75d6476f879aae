import type { Json } from '../json.ts';

/** A step of a JSONPath. `descend` applies the next step to a value and all its descendants. */
export type Step =
  | { kind: 'names'; names: string[] }
  | { kind: 'indices'; indices: number[] }
  | { kind: 'slice'; from: number | undefined; to: number | undefined }
  | { kind: 'wildcard' }
  | { kind: 'descend' }
  | { kind: 'filter'; filter: Filter }
  | { kind: 'function'; name: string };

export type Operand =
  | { kind: 'current' | 'root'; steps: Step[] }
  | { kind: 'literal'; value: Json }
  | { kind: 'regex'; regex: RegExp };

export type Filter =
  | { kind: 'or' | 'and'; parts: Filter[] }
  | { kind: 'not'; part: Filter }
  | { kind: 'exists'; operand: Operand }
  | { kind: 'compare'; operator: string; left: Operand; right: Operand };

export interface JsonPath {
  text: string;
  /** `$` is the data, `$$` the context object, `$name` a variable. */
  root: { kind: 'data' } | { kind: 'context' } | { kind: 'variable'; name: string };
  steps: Step[];
  /** A definite path has at most one value; any other path gives an array. */
  definite: boolean;
}

/** The path parser, as the filter parser uses it. */
export interface PathReader {
  readonly text: string;
  position: number;
  /** @throws PathSyntaxError */
  fail(message: string): never;
  steps(stopAtOperator: boolean): Step[];
  quoted(): string;
}
