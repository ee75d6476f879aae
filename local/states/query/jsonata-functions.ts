import type jsonata from 'jsonata';
import type { Json } from '../json.ts';
import { hexDigest } from './intrinsic-functions.ts';
import { type Randomness, seededRandom } from './randomness.ts';

const MAX_RANGE = 360_145;

class JsonataFunctionError extends Error {
  readonly code: string;
  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

const partition = (items: Json[] | undefined, size: number | undefined): Json | undefined => {
  if (items === undefined || size === undefined) return undefined;
  const step = Math.trunc(size);
  if (step < 1 || items.length === 0) return undefined;
  const chunks: Json[] = [];
  for (let i = 0; i < items.length; i += step) chunks.push(items.slice(i, i + step));
  return chunks;
};

/** Inclusive. A range of one element is that element, because JSONata unwraps singletons. */
const range = (from?: number, to?: number, by?: number): Json | undefined => {
  if (from === undefined || to === undefined || by === undefined) return undefined;
  const [first, last, step] = [Math.trunc(from), Math.trunc(to), Math.trunc(by)];
  if (step === 0 || (last - first) * step < 0) return undefined;
  const length = Math.floor((last - first) / step) + 1;
  if (length > MAX_RANGE) {
    throw new JsonataFunctionError('D2014', 'Expression evaluation memory limit exceeded');
  }
  const values = Array.from({ length }, (_, i) => first + i * step);
  return values.length === 1 ? values[0] : values;
};

const hash = (text: string | undefined, algorithm: string | undefined): Json | undefined => {
  if (text === undefined || algorithm === undefined) return undefined;
  const digest = hexDigest(text, algorithm);
  if (digest === undefined) throw new JsonataFunctionError('D3141', `Invalid hash algorithm: ${algorithm}`);
  return digest;
};

const parse = (text: string | undefined): Json | undefined => {
  if (text === undefined) return undefined;
  try {
    const value = JSON.parse(text) as Json;
    return Object.is(value, -0) ? 0 : value;
  } catch {
    throw new SyntaxError(`Invalid JSON: ${text}`);
  }
};

interface NativeFunction {
  implementation(this: jsonata.Focus, ...args: unknown[]): unknown;
}

/** External inputs of the functions. */
interface World {
  readonly random: Randomness;
  now(): number;
}

/** JSONata uses the machine's time; these use the injected clock. */
const registerTime = (expression: jsonata.Expression, world: () => World): void => {
  expression.registerFunction('millis', () => world().now(), '<:n>');
  expression.registerFunction(
    'now',
    function (this: jsonata.Focus, picture?: string, timezone?: string) {
      const { implementation } = this.environment.lookup('fromMillis') as NativeFunction;
      return implementation.call(this, world().now(), picture, timezone);
    },
    '<s?s?:s>',
  );
};

/**
 * The functions that Step Functions adds to JSONata, and $eval, which it removes.
 * @param world the inputs of the current evaluation
 */
export const registerFunctions = (expression: jsonata.Expression, world: () => World): void => {
  registerTime(expression, world);
  expression.registerFunction('partition', partition, '<a?n?:a>');
  expression.registerFunction('range', range, '<n?n?n?:x>');
  expression.registerFunction('hash', hash, '<s?s?:s>');
  expression.registerFunction(
    'random',
    (seed?: number) => (seed === undefined ? world().random.number() : seededRandom(Math.trunc(seed))),
    '<n?:n>',
  );
  expression.registerFunction('uuid', () => world().random.uuid(), '<:s>');
  expression.registerFunction('parse', parse, '<s?:x>');
  expression.registerFunction('eval', () => {
    throw new JsonataFunctionError('T1006', 'Attempted to invoke a non-function');
  });
};
