import type { AttributeValue } from '@aws-sdk/client-dynamodb';
import { TABLE } from '../../core/contract/deployment.ts';
import type { Item } from '../../store/item.ts';
import type { Key } from '../../store/keys.ts';
import { ConditionFailed, type QueryOptions, type Table, type Write } from '../../store/table.ts';

/**
 * A table in memory, for tests that need thousands of tables per minute. It supports the few forms of expressions that
 * `store/` writes and refuses any other. The same random walk runs on it and on the real engine.
 */
interface Expressions {
  readonly ExpressionAttributeNames?: Record<string, string> | undefined;
  readonly ExpressionAttributeValues?: Record<string, AttributeValue> | undefined;
}

const unknown = (text: string): TypeError =>
  new TypeError(`an expression that this table does not know: ${text}`);

const pathOf = (text: string, names: Record<string, string> = {}): string[] =>
  text.split('.').map((part) => {
    const name = part.startsWith('#') ? names[part] : part;
    if (name === undefined || !/^\w+$/.test(name)) throw unknown(text);
    return name;
  });

const read = (
  item: Item | undefined,
  [first = '', ...rest]: readonly string[],
): AttributeValue | undefined => {
  const value = item?.[first];
  return rest.length === 0 || value === undefined ? value : read(value.M ?? {}, rest);
};

const write = (
  item: Item,
  [first = '', ...rest]: readonly string[],
  value: AttributeValue | undefined,
): Item => {
  if (rest.length > 0) return { ...item, [first]: { M: write(item[first]?.M ?? {}, rest, value) } };
  const { [first]: _, ...others } = item;
  return value === undefined ? others : { ...others, [first]: value };
};

const plain = ({ S, N, BOOL }: AttributeValue): string | number | boolean | undefined =>
  N === undefined ? (S ?? BOOL) : Number(N);

type Value = string | number | boolean;
const COMPARE: Readonly<Record<string, (a: Value, b: Value) => boolean>> = {
  '=': (a, b) => a === b,
  '>=': (a, b) => a >= b,
  '<=': (a, b) => a <= b,
  '>': (a, b) => a > b,
  '<': (a, b) => a < b,
};

const holdsOne = (text: string, item: Item | undefined, given: Expressions): boolean => {
  const existence = /^attribute_(not_)?exists\(([\w#.]+)\)$/.exec(text);
  if (existence !== null) {
    const there = read(item, pathOf(existence[2] ?? '', given.ExpressionAttributeNames)) !== undefined;
    return existence[1] === undefined ? there : !there;
  }
  const [, path = '', sign = '', name = ''] = /^([\w#.]+) (=|>=|<=|>|<) (:\w+)$/.exec(text) ?? [];
  const wanted = given.ExpressionAttributeValues?.[name];
  const compare = COMPARE[sign];
  if (compare === undefined || wanted === undefined) throw unknown(text);
  const found = read(item, pathOf(path, given.ExpressionAttributeNames));
  const [left, right] = [found && plain(found), plain(wanted)];
  return left !== undefined && right !== undefined && typeof left === typeof right && compare(left, right);
};

const holds = (text: string | undefined, item: Item | undefined, given: Expressions): boolean =>
  text === undefined ||
  text.split(' OR ').some((all) => all.split(' AND ').every((one) => holdsOne(one.trim(), item, given)));

const assigned = (text: string, item: Item, given: Expressions): AttributeValue => {
  const [first = '', sign, second = ''] = text.split(/ ([+-]) /);
  const operand = (one: string): AttributeValue => {
    const value = one.startsWith(':')
      ? given.ExpressionAttributeValues?.[one]
      : read(item, pathOf(one, given.ExpressionAttributeNames));
    if (value === undefined) throw unknown(text);
    return value;
  };
  if (sign === undefined) return operand(first);
  const [a, b] = [Number(operand(first).N), Number(operand(second).N)];
  // DynamoDB calculates with decimal numbers.
  return { N: String(Math.round((sign === '+' ? a + b : a - b) * 1e6) / 1e6) };
};

const updated = (text: string, item: Item, given: Expressions): Item => {
  let next = item;
  const clauses = [...text.matchAll(/\b(SET|REMOVE) (.*?)(?= SET | REMOVE |$)/gs)];
  if (clauses.length === 0) throw unknown(text);
  for (const [, kind, body = ''] of clauses)
    for (const part of body.split(',').map((one) => one.trim())) {
      const [path = '', value] = part.split(' = ');
      const to = pathOf(path, given.ExpressionAttributeNames);
      next = write(next, to, kind === 'REMOVE' ? undefined : assigned(value ?? '', item, given));
    }
  return next;
};

const byKeys = (a: Item, b: Item, index: string): number => {
  const of = (item: Item) => [item[`${index}sk`]?.S ?? '', item.pk?.S ?? '', item.sk?.S ?? ''].join('\u0000');
  return of(a) < of(b) ? -1 : 1;
};

export const createMemoryTable = (): Table & { readonly items: () => Iterable<Item> } => {
  let items = new Map<string, Item>();
  const at = ({ pk, sk }: Key): string => `${pk}\u0000${sk}`;
  const keyOf = (item: Item): Key => ({ pk: item.pk?.S ?? '', sk: item.sk?.S ?? '' });

  const keyIn = (one: Write): Item =>
    ('put' in one
      ? one.put.Item
      : 'update' in one
        ? one.update.Key
        : 'remove' in one
          ? one.remove.Key
          : one.check.Key) ?? {};
  const conditionOf = (one: Write) =>
    'put' in one ? one.put : 'update' in one ? one.update : 'remove' in one ? one.remove : one.check;

  const apply = (to: Map<string, Item>, one: Write, index: number): Item | undefined => {
    const key = at(keyOf(keyIn(one)));
    const before = to.get(key);
    const condition = conditionOf(one);
    if (!holds(condition.ConditionExpression, before, condition)) throw new ConditionFailed(index, before);
    if ('put' in one) to.set(key, keyIn(one));
    else if ('remove' in one) to.delete(key);
    else if ('update' in one)
      to.set(key, updated(one.update.UpdateExpression ?? '', before ?? keyIn(one), one.update));
    return to.get(key);
  };

  const query = ({ index, key, sort, descending, limit, after, filter }: QueryOptions) => {
    const prefix = index ?? '';
    const how = sort ?? (key.sk === '' ? 'any' : 'prefix');
    const fits = (sk: string) =>
      how === 'any' ||
      (how === 'prefix' ? sk.startsWith(key.sk) : how === 'from' ? sk >= key.sk : sk < key.sk);
    const all = [...items.values()]
      .filter((item) => item[`${prefix}pk`]?.S === key.pk && fits(item[`${prefix}sk`]?.S ?? ''))
      .sort((a, b) => byKeys(a, b, prefix) * (descending === true ? -1 : 1));
    const from = after === undefined ? 0 : all.findIndex((item) => at(keyOf(item)) === at(keyOf(after))) + 1;
    const page = all.slice(from, limit === undefined ? undefined : from + limit);
    const last = page.at(-1);
    const projected = index === undefined ? [] : TABLE.projected[index];
    const names = ['pk', 'sk', ...projected, `${prefix}pk`, `${prefix}sk`];
    const shown = page
      .filter((item) =>
        holds(filter?.expression, item, {
          ExpressionAttributeNames: filter?.names,
          ExpressionAttributeValues: filter?.values,
        }),
      )
      .map((item) =>
        index === undefined
          ? item
          : Object.fromEntries(Object.entries(item).filter(([name]) => names.includes(name))),
      );
    return { items: shown, after: from + page.length < all.length ? last : undefined };
  };

  return {
    reportUnreadable: (error) => {
      throw error;
    },
    items: () => items.values(),
    get: async (key) => items.get(at(key)),
    batchGet: async (keys) => keys.flatMap((key) => items.get(at(key)) ?? ([] as Item[])),
    query: async (options) => query(options),
    put: async (put) => void apply(items, { put }, 0),
    update: async (update) => apply(items, { update }, 0) ?? {},
    remove: async (remove) => void apply(items, { remove }, 0),
    transact: async (writes) => {
      const next = new Map(items);
      const keys = writes.map((one) => at(keyOf(keyIn(one))));
      if (new Set(keys).size !== keys.length) throw new TypeError('one item twice in a transaction');
      for (const [index, one] of writes.entries()) apply(next, one, index);
      items = next;
    },
  };
};
