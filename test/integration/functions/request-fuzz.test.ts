import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type * as z from 'zod/mini';
import { ROUTES, type Route } from '../../../core/contract/http/routes.ts';
import { ProblemSchema } from '../../../core/contract/problem.ts';
import { containerItem } from '../../../store/containers.ts';
import { hostItem } from '../../../store/hosts.ts';
import { imageItem } from '../../../store/images.ts';
import { operationItem } from '../../../store/operations.ts';
import type { Table } from '../../../store/table.ts';
import { type Api, createApi } from '../../helpers/api.ts';
import { type Engine, startEngine } from '../../helpers/dynoxide.ts';
import { type Call, eventFor } from '../../helpers/http-function.ts';
import { containerRecord, hostRecord, imageRecord, operationRecord, testId } from '../../helpers/records.ts';
import { scaled } from '../../helpers/scaled.ts';

/**
 * For any request: no 5xx, every refusal is a problem with pointers into the request, and every response has the form
 * in the route's contract. Each request is generated from the schema of its route, with missing, wrong, hostile or
 * valid fields. `npm run test:long` sends more than 10,000 requests.
 */
const RUNS = scaled({ ci: 80, whole: 320 });

let engine: Engine;
let api: Api;
let table: Table;
beforeAll(async () => {
  engine = await startEngine();
  ({ table } = await engine.table());
  api = createApi(table);
  await addContainer();
  await table.put({ Item: imageItem(imageRecord('mini')) });
  await table.put({ Item: hostItem(hostRecord(900)) });
  await table.put({ Item: operationItem(operationRecord(50)) });
});
afterAll(() => engine.stop());

/** These functions change the container, so it is restored afterwards. */
const CHANGES_CONTAINER: readonly string[] = ['control-container', 'update-container'];
const addContainer = () => table.put({ Item: containerItem(containerRecord('Running')) });

const HOSTILE = [
  '',
  '$(id)',
  'a;b|c&d',
  '%PATH%',
  '"',
  "'",
  '\\',
  'a\r\nb',
  'a\0b',
  '\u202Egnp',
  '\ud800',
  'CON',
  'trailing.',
  '..',
  '../../etc/passwd',
  '-flag',
  '#',
  'T#acme#C#x',
  '__proto__',
  'constructor',
  'x'.repeat(300),
];
/** Valid values for some field, so that enough requests pass the validation. */
const FITTING = [
  'mini',
  'container-1',
  testId(1),
  testId(1).toUpperCase(),
  testId(50),
  testId(900),
  'HyperV',
  'Off',
  'a=b',
  '25',
  '/srv',
  'NAT',
  'always',
  'true',
  '8.8.8.0/24',
  'example.com',
  '8000-8100',
  'tcp',
  'deny',
  'switch',
];

const hostileText = fc.oneof(
  { arbitrary: fc.constantFrom(...FITTING), weight: 4 },
  { arbitrary: fc.constantFrom(...HOSTILE), weight: 2 },
  { arbitrary: fc.string({ unit: 'binary', maxLength: 40 }), weight: 1 },
);
const anyValue: fc.Arbitrary<unknown> = fc.oneof(
  hostileText,
  fc.integer(),
  fc.constantFrom(0, -1, 1, 64, 0.5, 1e308, Number.MAX_SAFE_INTEGER, true, false, null),
  fc.array(hostileText, { maxLength: 3 }),
  fc.dictionary(hostileText, hostileText, { maxKeys: 3 }),
);

const shapeOf = (schema: unknown): Record<string, z.ZodMiniType> =>
  (schema as { shape?: Record<string, z.ZodMiniType> } | undefined)?.shape ?? {};
const inner = (schema: z.ZodMiniType): unknown =>
  (schema as { _zod: { def: { innerType?: unknown } } })._zod.def.innerType ?? schema;

const elementOf = (schema: unknown): unknown =>
  (schema as { _zod?: { def: { element?: unknown } } })._zod?.def.element;

/** Generates a value for each field of a schema, at every depth, mostly of the right type. */
const fieldsOf = (schema: unknown): fc.Arbitrary<unknown> => {
  const shape = shapeOf(schema);
  const fields = Object.fromEntries(
    Object.entries(shape).map(([name, field]) => {
      const schema = inner(field);
      if (Object.keys(shapeOf(schema)).length > 0) return [name, fc.oneof(fieldsOf(schema), anyValue)];
      const element = elementOf(schema);
      if (Object.keys(shapeOf(element)).length === 0) return [name, anyValue];
      return [name, fc.oneof(fc.array(fieldsOf(element), { maxLength: 3 }), anyValue)];
    }),
  );
  const known = fc.record(fields, { requiredKeys: [] });
  const image = 'image' in shape ? { image: 'mini' } : {};
  return fc.oneof(
    { arbitrary: known, weight: 3 },
    { arbitrary: known.map((value) => ({ ...value, ...image })), weight: 3 },
    {
      arbitrary: fc
        .tuple(known, hostileText, anyValue)
        .map(([value, name, more]) => ({ ...value, [name]: more })),
      weight: 1,
    },
    { arbitrary: anyValue, weight: 1 },
  );
};

const encode = (text: string): string => encodeURIComponent(text.toWellFormed());
const queryOf = (route: Route): fc.Arbitrary<string> =>
  fc
    .array(
      fc.tuple(
        fc.oneof(fc.constantFrom(...Object.keys(shapeOf(route.query)), 'nope'), hostileText),
        hostileText,
      ),
      {
        maxLength: 3,
      },
    )
    .map((pairs) => pairs.map(([name, value]) => `${encode(name)}=${encode(value)}`).join('&'));

const callOf = (route: Route): fc.Arbitrary<Call> => {
  const names = Object.keys(shapeOf(route.parameters));
  return fc.record({
    params: fc
      .tuple(...names.map(() => hostileText))
      .map((values) => Object.fromEntries(names.map((name, at) => [name, values[at] ?? '']))),
    query: fc.oneof({ arbitrary: fc.constant(''), weight: 3 }, { arbitrary: queryOf(route), weight: 2 }),
    body: route.body === undefined ? fc.constant(undefined) : fieldsOf(route.body),
    headers: fc.oneof(
      { arbitrary: fc.constant({}), weight: 4 },
      { arbitrary: fc.record({ 'if-match': fc.constantFrom('*', '"3"', '3', 'W/"1"') }), weight: 1 },
      { arbitrary: fc.record({ 'idempotency-key': hostileText }), weight: 1 },
    ),
  });
};

const POINTER = /^\/(path|query|headers|body)(\/|$)/;

/** The violation in a response; null if there is none. */
const fault = (route: Route, status: number, text: string): string | null => {
  const body: unknown = text === '' ? undefined : JSON.parse(text);
  if (status < 400) {
    const schema = route.responses[status];
    if (schema === undefined) return `status ${status} is not of the route`;
    if (schema === null) return body === undefined ? null : 'a body where none is promised';
    const parsed = schema.safeParse(body);
    return parsed.success ? null : `not of its form: ${JSON.stringify(parsed.error.issues)}`;
  }
  // The host is not connected, so a time-out is the correct response.
  if (status >= 500 && !(status === 504 && ['list-processes', 'sessions'].includes(route.function)))
    return `status ${status}`;
  const problem = ProblemSchema.safeParse(body);
  if (!problem.success) return 'not a problem';
  if (problem.data.code !== 'validation-failed') return null;
  const { errors = [] } = problem.data;
  return errors.length > 0 && errors.every(({ pointer }) => POINTER.test(pointer)) ? null : 'no pointers';
};

describe.each(ROUTES.map((route) => [route.operationId, route] as const))('%s', (operationId, route) => {
  test(`${RUNS} requests generated from its schema`, async () => {
    await fc.assert(
      fc.asyncProperty(callOf(route), async (given) => {
        if (CHANGES_CONTAINER.includes(route.function)) await addContainer();
        const { statusCode, body } = await api.send(operationId, eventFor(operationId, given));
        expect([fault(route, statusCode, body), given]).toEqual([null, given]);
      }),
      { numRuns: RUNS, endOnFailure: true },
    );
  }, 60_000);
});
