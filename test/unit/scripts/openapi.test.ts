import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { ROUTES } from '../../../core/contract/http/routes.ts';
import { EXAMPLES } from '../../../scripts/documents/openapi/examples.ts';
import { generate } from '../../../scripts/generate/openapi.ts';

const PATH = 'docs/api/openapi.json';
const generated = async () => JSON.parse((await generate()).get(PATH) ?? '');

test('the committed document equals the generated one', async () => {
  const committed = readFileSync(new URL(`../../../${PATH}`, import.meta.url), 'utf8');
  expect((await generate()).get(PATH)).toBe(committed);
});

test('every route is documented, with its scope and its responses', async () => {
  const { paths } = await generated();
  for (const route of ROUTES) {
    const operation = paths[route.path.replace('+}', '}')][route.method.toLowerCase()];
    expect(operation.operationId).toBe(route.operationId);
    expect(operation.security).toEqual(route.scope === null ? [] : [{ token: [route.scope] }]);
    expect(Object.keys(operation.responses)).toEqual(
      expect.arrayContaining([...Object.keys(route.responses), '400', 'default']),
    );
  }
});

test('every reference has a target', async () => {
  const document = await generated();
  const references: string[] = [];
  JSON.stringify(document, (key, value: unknown) => {
    if (key === '$ref') references.push(String(value));
    return value;
  });
  expect(references.length).toBeGreaterThan(50);
  for (const reference of new Set(references)) {
    const found = reference
      .slice(2)
      .split('/')
      .reduce((value, name) => value?.[name], document);
    expect([reference, typeof found]).toEqual([reference, 'object']);
  }
});

describe('examples are valid', () => {
  test.each(Object.entries(EXAMPLES))('%s', (operationId, { request, responses = {} }) => {
    const route = ROUTES.find((one) => one.operationId === operationId);
    if (request !== undefined) expect(route?.body?.safeParse(request).error?.issues ?? []).toEqual([]);
    for (const [status, example] of Object.entries(responses))
      expect(route?.responses[Number(status)]?.safeParse(example).error?.issues ?? []).toEqual([]);
    expect(route).toBeDefined();
  });
});
