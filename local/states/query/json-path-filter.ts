import type { Json } from '../json.ts';
import type { Filter, Operand, PathReader } from './json-path-syntax.ts';

/** Reads the expression of a `[?(…)]`: comparisons, `&&`, `||`, `!`, parentheses, existence. */
export class FilterParser {
  readonly #reader: PathReader;

  constructor(reader: PathReader) {
    this.#reader = reader;
  }

  #take(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#reader.position;
    const found = pattern.exec(this.#reader.text);
    if (!found) return undefined;
    this.#reader.position = pattern.lastIndex;
    return found[1] ?? found[0];
  }

  parse(): Filter {
    return this.#chain('or', /\s*\|\|\s*/y, () => this.#chain('and', /\s*&&\s*/y, () => this.#unary()));
  }

  #chain(kind: 'or' | 'and', separator: RegExp, next: () => Filter): Filter {
    const first = next();
    const parts = [first];
    while (this.#take(separator) !== undefined) parts.push(next());
    return parts.length === 1 ? first : { kind, parts };
  }

  #unary(): Filter {
    this.#take(/\s*/y);
    if (this.#take(/!(?!=)/y) !== undefined) return { kind: 'not', part: this.#unary() };
    if (this.#take(/\(/y) !== undefined) {
      const inner = this.parse();
      if (this.#take(/\s*\)/y) === undefined) this.#reader.fail("Expected ')'");
      return inner;
    }
    return this.#comparison();
  }

  #comparison(): Filter {
    const left = this.#operand();
    const operator = this.#take(/\s*(==|!=|<=|>=|=~|<|>|(?:in|nin)\b)\s*/y);
    if (operator === undefined) return { kind: 'exists', operand: left };
    return { kind: 'compare', operator, left, right: this.#operand() };
  }

  #operand(): Operand {
    this.#take(/\s*/y);
    const char = this.#reader.text.charAt(this.#reader.position);
    if (char === '@' || char === '$') {
      this.#reader.position++;
      return { kind: char === '@' ? 'current' : 'root', steps: this.#reader.steps(true) };
    }
    if (char === '/') return this.#regex();
    return { kind: 'literal', value: this.#literal() };
  }

  #regex(): Operand {
    const pattern = /\/((?:[^/\\]|\\.)+)\/([imsu]*)/y;
    pattern.lastIndex = this.#reader.position;
    const found = pattern.exec(this.#reader.text);
    if (!found?.[1]) this.#reader.fail('Expected a regular expression');
    this.#reader.position = pattern.lastIndex;
    return { kind: 'regex', regex: new RegExp(`^(?:${found[1]})$`, found[2]) };
  }

  #literal(): Json {
    this.#take(/\s*/y);
    const char = this.#reader.text.charAt(this.#reader.position);
    if (char === "'" || char === '"') return this.#reader.quoted();
    if (this.#take(/\[/y) !== undefined) return this.#list();
    const word = this.#take(/-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|true\b|false\b|null\b/y);
    if (word === undefined) this.#reader.fail('Expected a value');
    return JSON.parse(word) as Json;
  }

  #list(): Json[] {
    const values: Json[] = [];
    while (this.#take(/\s*\]/y) === undefined) {
      values.push(this.#literal());
      this.#take(/\s*,/y);
    }
    return values;
  }
}
