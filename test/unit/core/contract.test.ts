import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { CreateContainerRequestSchema } from '../../../core/contract/container.ts';
import { ROUTES, SCOPES } from '../../../core/contract/http/routes.ts';
import { NAME_PATTERN, RuntimeTypeInputSchema, toRuntimeType } from '../../../core/contract/primitives.ts';
import { ExecRequestSchema, SessionRequestSchema } from '../../../core/contract/session.ts';
import { generatedName } from '../../../core/domain/names.ts';

const HOSTILE = [
  '$(id)',
  'a;b',
  'a&b',
  'a|b',
  '%PATH%',
  '"',
  "'",
  '\\',
  'a\r\nb',
  'a\0b',
  '\u202Egnp',
  'trailing.',
  '..',
  '-flag',
  'x'.repeat(65_536),
];

describe('requests', () => {
  test.each(HOSTILE)('a hostile name, image, switch or user is refused: %j', (text) => {
    for (const field of ['name', 'image', 'switchName', 'user'])
      expect(CreateContainerRequestSchema.safeParse({ image: 'mini', [field]: text }).success).toBe(false);
  });

  test.each(['4294967296', '2147483648', '00', '1:4294967295', '1:2:3'])(
    'an invalid user is refused: %s',
    (user) => {
      const parsed = [
        CreateContainerRequestSchema.safeParse({ image: 'mini', user }),
        ExecRequestSchema.safeParse({ command: ['id'], user }),
        SessionRequestSchema.safeParse({ user }),
      ];
      expect(parsed.map(({ success }) => success)).toEqual([false, false, false]);
    },
  );

  test.each(['0', '2147483647', '1000:1000', 'ann', 'ann:staff', 'CORP\\ann'])(
    'a user is accepted: %s',
    (user) => {
      expect(CreateContainerRequestSchema.safeParse({ image: 'mini', user }).success).toBe(true);
    },
  );

  test('an unknown field is refused, at every depth', () => {
    expect(CreateContainerRequestSchema.safeParse({ image: 'mini', colour: 'red' }).success).toBe(false);
    expect(CreateContainerRequestSchema.safeParse({ image: 'mini', resources: { gpus: 1 } }).success).toBe(
      false,
    );
  });

  test('the documented container is accepted', () => {
    const documented = {
      name: 'HYPVCON',
      image: 'NanoServer',
      switchName: 'Virtual Switch',
      runtimeType: 'HyperV',
    };
    expect(CreateContainerRequestSchema.safeParse(documented).success).toBe(true);
  });

  test('a path cannot contain .. segments', () => {
    const parse = (workingDir: string) =>
      CreateContainerRequestSchema.safeParse({ image: 'mini', workingDir }).success;
    expect([
      parse('/srv'),
      parse('C:\\app'),
      parse('/a/../b'),
      parse('relative'),
      parse('C:\\..\\x'),
    ]).toEqual([true, true, false, false, false]);
  });

  test('the case of runtime types is ignored', () => {
    for (const text of ['HyperV', 'Hyperv', 'HYPERV', 'hyperv']) {
      expect(RuntimeTypeInputSchema.safeParse(text).success).toBe(true);
      expect(toRuntimeType(text)).toBe('HyperV');
    }
    expect(RuntimeTypeInputSchema.safeParse('hyper-v').success).toBe(false);
  });
});

describe('routes', () => {
  test('each route has a unique operation id, and a unique method and path', () => {
    const unique = (values: string[]) => new Set(values).size === values.length;
    expect(unique(ROUTES.map(({ method, path }) => `${method} ${path}`))).toBe(true);
    expect(unique(ROUTES.map(({ operationId }) => operationId))).toBe(true);
  });

  test('each mutation requires a scope to write, except enrollment, which has its own token', () => {
    const changing = ROUTES.filter(
      ({ method, operationId }) => method !== 'GET' && operationId !== 'testConversionRule',
    );
    for (const route of changing)
      expect([route.operationId, route.scope === null ? 'none' : route.scope]).toEqual([
        route.operationId,
        route.operationId === 'enrollHost' ? 'none' : expect.stringMatching(/:(write|admin|open)$/),
      ]);
    for (const { scope } of ROUTES) if (scope !== null) expect(SCOPES).toContain(scope);
  });

  test('every path parameter has a schema, and every schema a path parameter', () => {
    for (const { path, parameters } of ROUTES) {
      const named = [...path.matchAll(/\{(\w+)\+?\}/g)].map(([, name]) => name);
      expect(Object.keys(parameters?.shape ?? {})).toEqual(named);
    }
  });
});

test('a generated name is a valid name, and the same for the same id', () => {
  fc.assert(
    fc.property(fc.uuid(), (id) => {
      expect(generatedName(id)).toMatch(NAME_PATTERN);
      expect(generatedName(id)).toBe(generatedName(id));
    }),
  );
});
