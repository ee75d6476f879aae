import { PathSyntaxError, parsePath } from './json-path-parser.ts';
import type { JsonPath } from './json-path-syntax.ts';

export type Argument =
  | { kind: 'literal'; value: string | number | boolean | null; raw: string }
  | { kind: 'path'; path: JsonPath }
  | { kind: 'call'; call: IntrinsicCall };

export interface IntrinsicCall {
  text: string;
  name: string;
  args: Argument[];
}

/** Minimum and maximum number of arguments of each intrinsic function. */
const ARITY: Record<string, [number, number]> = {
  'States.Format': [1, Number.POSITIVE_INFINITY],
  'States.StringToJson': [1, 1],
  'States.JsonToString': [1, 1],
  'States.Array': [0, Number.POSITIVE_INFINITY],
  'States.ArrayPartition': [2, 2],
  'States.ArrayContains': [2, 2],
  'States.ArrayRange': [3, 3],
  'States.ArrayGetItem': [2, 2],
  'States.ArrayLength': [1, 1],
  'States.ArrayUnique': [1, 1],
  'States.Base64Encode': [1, 1],
  'States.Base64Decode': [1, 1],
  'States.Hash': [2, 2],
  'States.JsonMerge': [3, 3],
  'States.MathRandom': [2, 3],
  'States.MathAdd': [2, 2],
  'States.StringSplit': [2, 2],
  'States.UUID': [0, 0],
};

class Reader {
  readonly #text: string;
  #position = 0;

  constructor(text: string) {
    this.#text = text;
  }

  #fail(message: string): never {
    throw new PathSyntaxError(`${message} at position ${this.#position} of '${this.#text}'`);
  }

  #take(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#position;
    const found = pattern.exec(this.#text);
    if (!found) return undefined;
    this.#position = pattern.lastIndex;
    return found[1] ?? found[0];
  }

  whole(): IntrinsicCall {
    const call = this.#call();
    if (this.#position < this.#text.length) this.#fail('Unexpected character');
    return call;
  }

  #call(): IntrinsicCall {
    this.#take(/\s*/y);
    const start = this.#position;
    const name = this.#take(/(States\.[A-Za-z0-9]+)\s*\(/y);
    if (name === undefined) this.#fail('Expected an intrinsic function');
    const arity = ARITY[name];
    if (!arity) this.#fail(`Unknown intrinsic function '${name}'`);
    const args: Argument[] = [];
    while (this.#take(/\s*\)\s*/y) === undefined) {
      if (args.length > 0 && this.#take(/\s*,/y) === undefined) this.#fail("Expected ',' or ')'");
      args.push(this.#argument());
    }
    if (args.length < arity[0] || args.length > arity[1]) {
      this.#fail(`Invalid number of arguments for ${name}`);
    }
    return { text: this.#text.slice(start, this.#position).trim(), name, args };
  }

  #argument(): Argument {
    this.#take(/\s*/y);
    const char = this.#text.charAt(this.#position);
    if (char === "'") return this.#string();
    if (char === '$') return { kind: 'path', path: parsePath(this.#pathText()) };
    const word = this.#take(/-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|true\b|false\b|null\b/y);
    if (word !== undefined) return { kind: 'literal', value: JSON.parse(word), raw: word };
    return { kind: 'call', call: this.#call() };
  }

  /** Escapes stay in `raw`, because States.Format must distinguish `\{` from `{`. */
  #string(): Argument {
    const raw = this.#take(/'((?:[^'\\]|\\.)*)'/sy);
    if (raw === undefined) this.#fail('Unterminated string');
    return { kind: 'literal', value: raw.replace(/\\(.)/gs, '$1'), raw };
  }

  #pathText(): string {
    const start = this.#position;
    let depth = 0;
    while (this.#position < this.#text.length) {
      const char = this.#text.charAt(this.#position);
      if (char === "'" || char === '"') {
        if (this.#take(/'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"/sy) === undefined)
          this.#fail('Unterminated string');
        continue;
      }
      if (char === '[' || char === '(') depth++;
      if (depth === 0 && (char === ',' || char === ')')) break;
      if (char === ']' || char === ')') depth--;
      this.#position++;
    }
    return this.#text.slice(start, this.#position).trim();
  }
}

const cache = new Map<string, IntrinsicCall>();

/** @throws PathSyntaxError for bad syntax, an unknown function or a wrong number of arguments */
export const parseIntrinsic = (text: string): IntrinsicCall => {
  const known = cache.get(text);
  if (known) return known;
  const call = new Reader(text).whole();
  cache.set(text, call);
  return call;
};

export const isIntrinsic = (text: string): boolean => {
  return text.trimStart().startsWith('States.');
};
