import { createHash } from 'node:crypto';
import { isObject, type Json, jsonEquals } from '../json.ts';
import type { Randomness } from './randomness.ts';
import { seededRandom } from './randomness.ts';

/** Invalid arguments of an intrinsic function. */
export class IntrinsicError extends Error {
  override readonly name = 'IntrinsicError';
}

/** An evaluated argument; `raw` is a literal string with its escapes. */
export interface IntrinsicArgument {
  value: Json;
  raw: string | undefined;
}

type Implementation = (args: Json[], random: Randomness) => Json;

const MAX_ARRAY = 1000;
const MAX_TEXT = 10_000;

const array = (value: Json | undefined, name: string): Json[] => {
  if (!Array.isArray(value)) throw new IntrinsicError(`The argument of ${name} must be an array`);
  return value;
};

const string = (value: Json | undefined, name: string): string => {
  if (typeof value !== 'string') throw new IntrinsicError(`The argument of ${name} must be a string`);
  return value;
};

/** Rounds to the nearest integer, halves up, like Java's Math.round. */
const integer = (value: Json | undefined, name: string): number => {
  if (typeof value !== 'number') throw new IntrinsicError(`The argument of ${name} must be a number`);
  return Math.round(value);
};

const limited = (text: string, name: string): string => {
  if (text.length > MAX_TEXT) throw new IntrinsicError(`${name} takes up to ${MAX_TEXT} characters`);
  return text;
};

/** Formats a value as AWS does, which is how Java prints maps and lists. */
export const javaText = (value: Json): string => {
  if (Array.isArray(value)) return `[${value.map(javaText).join(', ')}]`;
  if (isObject(value)) {
    return `{${Object.entries(value)
      .map(([key, item]) => `${key}=${javaText(item)}`)
      .join(', ')}}`;
  }
  return String(value);
};

/** `{}` takes the next argument; `\{`, `\}`, `\'` and `\\` are the literal characters. */
export const format = (args: IntrinsicArgument[]): string => {
  const [template, ...rest] = args;
  const text = string(template?.value, 'States.Format');
  const source = template?.raw ?? text.replace(/\\/g, '\\\\');
  const slots = source.replace(/\\./gs, '').match(/\{\}/g)?.length ?? 0;
  if (slots !== rest.length) {
    throw new IntrinsicError(
      `Invalid number of arguments: the template has ${slots} placeholders, ${rest.length} were given`,
    );
  }
  const values = rest.map((arg) => javaText(arg.value));
  return source.replace(/\\(.)|\{\}/gs, (_, escaped: string | undefined) => escaped ?? values.shift() ?? '');
};

const parseJson = (text: string): Json => {
  if (text.trim() === '') return null;
  try {
    const value = JSON.parse(text) as Json;
    return Object.is(value, -0) ? 0 : value;
  } catch {
    throw new IntrinsicError(`Invalid JSON: ${text}`);
  }
};

const partition = (items: Json[], size: number): Json[] => {
  if (size < 1) throw new IntrinsicError('The chunk size must be a positive integer');
  const chunks: Json[] = [];
  for (let i = 0; i < items.length; i += size) chunks.push(items.slice(i, i + size));
  return chunks;
};

const range = (first: number, last: number, step: number): Json[] => {
  if (step === 0) throw new IntrinsicError('The step of States.ArrayRange must not be zero');
  const values: Json[] = [];
  for (let n = first; step > 0 ? n <= last : n >= last; n += step) {
    if (values.length === MAX_ARRAY)
      throw new IntrinsicError(`States.ArrayRange returns at most ${MAX_ARRAY} items`);
    values.push(n);
  }
  return values;
};

const item = (items: Json[], index: number): Json => {
  const value = index >= 0 ? items[index] : undefined;
  if (value === undefined)
    throw new IntrinsicError(`Index ${index} is out of bounds for an array of ${items.length}`);
  return value;
};

const ALGORITHMS: Record<string, string> = {
  MD5: 'md5',
  'SHA-1': 'sha1',
  'SHA-256': 'sha256',
  'SHA-384': 'sha384',
  'SHA-512': 'sha512',
};

/** @returns the hex digest, or undefined for an algorithm that Step Functions does not support */
export const hexDigest = (text: string, algorithm: string): string | undefined => {
  const name = ALGORITHMS[algorithm];
  return name === undefined ? undefined : createHash(name).update(text).digest('hex');
};

const hash = (data: Json | undefined, algorithm: Json | undefined): Json => {
  const text = typeof data === 'string' ? data : JSON.stringify(data);
  const digest = hexDigest(limited(text, 'States.Hash'), string(algorithm, 'States.Hash'));
  if (digest === undefined) throw new IntrinsicError(`Invalid hash algorithm: ${algorithm}`);
  return digest;
};

const merge = (first: Json | undefined, second: Json | undefined, deep: Json | undefined): Json => {
  if (!isObject(first) || !isObject(second)) throw new IntrinsicError('States.JsonMerge merges objects');
  if (deep !== false) throw new IntrinsicError('States.JsonMerge supports only the shallow merging mode');
  return { ...first, ...second };
};

const randomInteger = (args: Json[], random: Randomness): Json => {
  const start = integer(args[0], 'States.MathRandom');
  const end = integer(args[1], 'States.MathRandom');
  if (start >= end) throw new IntrinsicError('The start of States.MathRandom must be less than its end');
  const seed = args[2];
  const draw = seed === undefined ? random.number() : seededRandom(integer(seed, 'States.MathRandom'));
  return start + Math.floor(draw * (end - start));
};

const split = (text: string, separators: string): Json[] => {
  if (separators === '') return text === '' ? [] : [text];
  const parts: string[] = [''];
  for (const char of text) {
    if (separators.includes(char)) parts.push('');
    else parts[parts.length - 1] += char;
  }
  return parts.filter((part) => part !== '');
};

const unique = (items: Json[]): Json[] => {
  return items.filter((value, i) => items.findIndex((other) => jsonEquals(other, value)) === i);
};

export const INTRINSICS: Record<string, Implementation> = {
  'States.StringToJson': ([text]) => parseJson(string(text, 'States.StringToJson')),
  'States.JsonToString': ([value]) => JSON.stringify(value),
  'States.Array': (args) => args,
  'States.ArrayPartition': ([items, size]) =>
    partition(array(items, 'States.ArrayPartition'), integer(size, 'States.ArrayPartition')),
  'States.ArrayContains': ([items, value]) =>
    array(items, 'States.ArrayContains').some((other) => jsonEquals(other, value ?? null)),
  'States.ArrayRange': ([first, last, step]) =>
    range(
      integer(first, 'States.ArrayRange'),
      integer(last, 'States.ArrayRange'),
      integer(step, 'States.ArrayRange'),
    ),
  'States.ArrayGetItem': ([items, index]) =>
    item(array(items, 'States.ArrayGetItem'), integer(index, 'States.ArrayGetItem')),
  'States.ArrayLength': ([items]) => array(items, 'States.ArrayLength').length,
  'States.ArrayUnique': ([items]) => unique(array(items, 'States.ArrayUnique')),
  'States.Base64Encode': ([text]) =>
    Buffer.from(limited(string(text, 'States.Base64Encode'), 'States.Base64Encode')).toString('base64'),
  'States.Base64Decode': ([text]) =>
    Buffer.from(limited(string(text, 'States.Base64Decode'), 'States.Base64Decode'), 'base64').toString(),
  'States.Hash': ([data, algorithm]) => hash(data, algorithm),
  'States.JsonMerge': ([first, second, deep]) => merge(first, second, deep),
  'States.MathRandom': randomInteger,
  'States.MathAdd': ([first, second]) => integer(first, 'States.MathAdd') + integer(second, 'States.MathAdd'),
  'States.StringSplit': ([text, separators]) =>
    split(string(text, 'States.StringSplit'), string(separators, 'States.StringSplit')),
  'States.UUID': (_, random) => random.uuid(),
};
