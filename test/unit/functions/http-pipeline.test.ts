import { describe, expect, test } from '@jest/globals';
import { ROUTES } from '../../../core/contract/http/routes.ts';
import { PROBLEM_CODES, ProblemSchema } from '../../../core/contract/problem.ts';
import { HostNotAnsweringError, TooBusyError } from '../../../core/domain/errors.ts';
import { createProblem, toProblem } from '../../../core/domain/problems.ts';
import { ConfigurationError } from '../../../functions/shared/errors.ts';
import { createHttpHandler } from '../../../functions/shared/http/create-http-handler.ts';
import type { Answer, RouteRequest } from '../../../functions/shared/http/exchange.ts';
import { ConditionFailed } from '../../../store/table.ts';
import { type Call, call, eventFor, routeOf, testDependencies } from '../../helpers/http-function.ts';

type Seen = RouteRequest<(typeof ROUTES)[number]>;

/** Handlers that return their input. */
const setUp = (answer: () => Promise<Answer> = async () => ({ status: 200, body: {} })) => {
  const dependencies = testDependencies();
  const seen: Seen[] = [];
  const show = async (request: unknown) => {
    seen.push(request as Seen);
    return answer();
  };
  const handler = createHttpHandler(
    ROUTES,
    {
      createContainer: show,
      listContainers: show,
      stopContainer: show,
      getContainer: show,
      enrollHost: show,
    },
    dependencies,
  );
  const ask = (operationId: string, given?: Call) => call(handler, operationId, given);
  return { ask, seen, lines: dependencies.lines, handler };
};

const body = { image: 'mini' };

describe('the caller', () => {
  const refusals: [string, Call['claims'], number, string][] = [
    ['no token', null, 401, 'unauthorized'],
    ['no tenant', { tenant: undefined }, 401, 'unauthorized'],
    ['a tenant with a key separator', { tenant: 'a#C#b' }, 401, 'unauthorized'],
    ['a tenant that is not a string', { tenant: ['acme'] }, 401, 'unauthorized'],
    ['no subject', { sub: undefined }, 401, 'unauthorized'],
    ['no scope', { scope: undefined }, 403, 'missing-scope'],
    ['another scope', { scope: 'containers:write' }, 403, 'missing-scope'],
    ['a scope with the required scope as prefix', { scope: 'containers:reader' }, 403, 'missing-scope'],
    ['the scope of another resource server', { scope: 'other/containers:read' }, 403, 'missing-scope'],
  ];
  test.each(refusals)('is refused: %s', async (_, claims, status, code) => {
    const { ask, seen } = setUp();
    const answer = await ask('listContainers', { claims });
    expect([answer.status, ProblemSchema.parse(answer.body).code, seen]).toEqual([status, code, []]);
    if (status === 401) expect(answer.headers['www-authenticate']).toBe('Bearer');
    if (status === 403) expect(answer.body.context).toEqual({ scope: 'containers:read' });
  });

  test.each([
    'containers:read',
    'openid containers:read',
    '[openid containers:read]',
    '[containers:read]',
    'bulkhead/containers:read',
    ['openid', 'containers:read'],
  ])('scope %j is accepted', async (scope) => {
    const { ask, seen } = setUp();
    expect((await ask('listContainers', { claims: { scope } })).status).toBe(200);
    expect(seen[0]?.identity).toMatchObject({ tenant: 'acme', actor: 'ann' });
  });

  test('has the client id as subject if it is a machine; other claim names can be configured', async () => {
    const handler = createHttpHandler(
      ROUTES,
      { getContainer: async ({ identity }) => ({ status: 200, body: [identity.tenant, identity.actor] }) },
      { ...testDependencies(), claims: { tenantClaim: 'custom:org', scopeClaim: 'scp' } },
    );
    const claims = { sub: undefined, client_id: 'ci', 'custom:org': 'umbrella', scp: '[containers:read]' };
    const answer = await call(handler, 'getContainer', { params: { idOrName: 'a' }, claims });
    expect(answer.body).toEqual(['umbrella', 'ci']);
  });

  test('can send an invalid token to a route that needs none', async () => {
    const { ask, seen } = setUp();
    const answer = await ask('enrollHost', { claims: null, body: {} });
    expect([answer.status, answer.body.code, seen]).toEqual([400, 'validation-failed', []]);
  });
});

describe('bodies', () => {
  const cases: [string, Call, number, string, string | undefined][] = [
    ['none', {}, 400, 'validation-failed', '/body'],
    [
      'another type',
      { body: '{}', headers: { 'content-type': 'text/plain' } },
      415,
      'unsupported-media-type',
      undefined,
    ],
    ['invalid JSON', { body: '{"image":' }, 400, 'body-not-json', undefined],
    ['an array', { body: [] }, 400, 'validation-failed', '/body'],
    ['null', { body: 'null' }, 400, 'validation-failed', '/body'],
    ['an unknown field', { body: { ...body, 'a/b~c': 1 } }, 400, 'validation-failed', '/body/a~1b~0c'],
    [
      'a nested unknown field',
      { body: { ...body, resources: { gpus: 1 } } },
      400,
      'validation-failed',
      '/body/resources/gpus',
    ],
    ['a wrong type', { body: { ...body, tty: 'yes' } }, 400, 'validation-failed', '/body/tty'],
    [
      'a bad key of a map',
      { body: { ...body, labels: { '-a': 'x' } } },
      400,
      'validation-failed',
      '/body/labels/-a',
    ],
    [
      'an element of a list',
      { body: { ...body, ports: [{ containerPort: 80 }, { containerPort: 0 }] } },
      400,
      'validation-failed',
      '/body/ports/1/containerPort',
    ],
    [
      'a prototype',
      { body: '{"image":"mini","labels":{"__proto__":{"a":"b"}}}' },
      400,
      'validation-failed',
      '/body/labels/__proto__',
    ],
    [
      'a variable __proto__',
      { body: '{"image":"mini","env":{"__proto__":"a"}}' },
      400,
      'validation-failed',
      '/body/env/__proto__',
    ],
    [
      'an unpaired surrogate',
      { body: '{"image":"mini","labels":{"a":"\\ud800"}}' },
      400,
      'validation-failed',
      '/body/labels/a',
    ],
    [
      'too much nesting',
      { body: `{"image":"mini","env":${'['.repeat(20)}${']'.repeat(20)}}` },
      400,
      'validation-failed',
      undefined,
    ],
    [
      'more than 64 KB',
      { body: JSON.stringify({ image: 'mini', command: ['é'.repeat(33_000)] }) },
      413,
      'body-too-large',
      undefined,
    ],
  ];
  test.each(cases)('%s is refused', async (_, given, status, code, pointer) => {
    const { ask, seen } = setUp();
    const answer = await ask('createContainer', given);
    expect([answer.status, ProblemSchema.parse(answer.body).code, seen]).toEqual([status, code, []]);
    expect(answer.headers['content-type']).toBe('application/problem+json');
    if (pointer !== undefined) expect(answer.body.errors[0].pointer).toBe(pointer);
  });

  test('each error has its own pointer', async () => {
    const answer = await setUp().ask('createContainer', {
      query: 'nope=1',
      body: { image: '../x', a: 1, b: 2, resources: { memoryMB: 1 } },
    });
    expect(answer.body.errors.map(({ pointer }: { pointer: string }) => pointer).sort()).toEqual([
      '/body/a',
      '/body/b',
      '/body/image',
      '/body/resources/memoryMB',
      '/query/nope',
    ]);
  });

  test('nesting that is too deep for a parser is refused', async () => {
    const deep = `{"image":"mini","env":${'['.repeat(30_000)}${']'.repeat(30_000)}}`;
    expect((await setUp().ask('createContainer', { body: deep })).status).toBe(400);
  });

  test('base64 is decoded, and invalid UTF-8 is refused', async () => {
    const { handler, seen } = setUp();
    const event = eventFor('createContainer', { body });
    const encoded = {
      ...event,
      isBase64Encoded: true,
      body: Buffer.from('{"image":"mini"}').toString('base64'),
    };
    expect((await handler(encoded)).statusCode).toBe(200);
    expect(seen[0]?.body).toEqual({ image: 'mini' });
    const broken = { ...encoded, body: Buffer.from([0x22, 0xff, 0x22]).toString('base64') };
    expect((await handler(broken)).statusCode).toBe(400);
  });

  test('a body can be omitted on routes where it is optional', async () => {
    const { ask, seen } = setUp();
    expect((await ask('stopContainer', { params: { idOrName: 'a' } })).status).toBe(200);
    expect(seen[0]?.body).toEqual({});
  });

  test('a body is refused on a route without a body', async () => {
    expect((await setUp().ask('listContainers', { body: {} })).status).toBe(400);
  });
});

describe('queries', () => {
  test.each([
    ['limit=0', '/query/limit'],
    ['limit=201', '/query/limit'],
    ['limit=1&limit=2', '/query/limit'],
    ['limit=%E0', '/query/limit'],
    ['colour=red', '/query/colour'],
    ['state=off', '/query/state'],
    ['runtimeType=hyper-v', '/query/runtimeType'],
    ['label=team', '/query/label/0'],
    ['__proto__=1', '/query/__proto__'],
    ['cursor=abc', '/query/cursor'],
  ])('%s is refused', async (query, pointer) => {
    const { ask, seen } = setUp();
    const answer = await ask('listContainers', { query });
    expect([answer.status, answer.body.errors?.[0]?.pointer, seen]).toEqual([400, pointer, []]);
  });

  test('labels can be repeated and have commas and = in their values', async () => {
    const { ask, seen } = setUp();
    await ask('listContainers', { query: 'label=a=b,c&label=d=e%3Df&name=x&&' });
    expect(seen[0]?.query).toEqual({ label: ['a=b,c', 'd=e=f'], name: 'x' });
  });
});

describe('preconditions', () => {
  test.each(['W/"3"', '3', '"3", "4"', '"x"', '""', '"-1"', '"03"'])(
    'If-Match %s is refused',
    async (value) => {
      const answer = await setUp().ask('stopContainer', {
        params: { idOrName: 'a' },
        headers: { 'if-match': value },
      });
      expect([answer.status, answer.body.errors[0].pointer]).toEqual([400, '/headers/if-match']);
    },
  );

  test('If-Match is refused on routes without an ETag', async () => {
    const answer = await setUp().ask('createContainer', { body, headers: { 'if-match': '*' } });
    expect(answer.status).toBe(400);
  });

  test.each(['', 'a b', 'ü', 'x'.repeat(256)])('Idempotency-Key %j is refused', async (value) => {
    const answer = await setUp().ask('createContainer', { body, headers: { 'idempotency-key': value } });
    expect([answer.status, answer.body.errors[0].pointer]).toEqual([400, '/headers/idempotency-key']);
  });
});

describe('errors', () => {
  test('every code has a status and its own title', () => {
    const problems = PROBLEM_CODES.map((code) => createProblem(code, 'x'));
    for (const problem of problems) {
      expect(ProblemSchema.safeParse(problem).success).toBe(true);
      expect(problem.type).toBe(`urn:bulkhead:problem:${problem.code}`);
      expect(problem.status).toBeGreaterThanOrEqual(400);
    }
    expect(new Set(problems.map(({ title }) => title)).size).toBe(PROBLEM_CODES.length);
  });

  test.each([
    [new TypeError('secret-token of tenant acme')],
    [new ConfigurationError('TABLE_NAME secret-token')],
    [new ConditionFailed(0, { secret: { S: 'secret-token' } })],
    ['secret-token'],
  ])('an unexpected %p is logged and not shown', async (error) => {
    const { ask, lines } = setUp(async () => {
      throw error;
    });
    const answer = await ask('getContainer', { params: { idOrName: 'a' }, requestId: 'r-7' });
    expect([answer.status, answer.body.code, answer.body.requestId]).toEqual([500, 'internal', 'r-7']);
    expect(answer.text).not.toContain('secret-token');
    expect(lines.some((line) => line.includes('"level":"error"') && line.includes('r-7'))).toBe(true);
  });

  test('an error of the table is logged without items', async () => {
    const { ask, lines } = setUp(async () => {
      throw new ConditionFailed(0, { env: { S: 'hunter2' } });
    });
    await ask('getContainer', { params: { idOrName: 'a' } });
    expect(lines.join()).not.toContain('hunter2');
  });

  test('too-busy has Retry-After; a host that does not answer results in a time-out', async () => {
    const busy = await setUp(async () => {
      throw new TooBusyError('busy');
    }).ask('listContainers');
    expect([busy.status, busy.headers['retry-after'], busy.body.code]).toEqual([503, '1', 'too-busy']);
    const silent = await setUp(async () => {
      throw new HostNotAnsweringError('silent');
    }).ask('listContainers');
    expect([silent.status, silent.body.code]).toEqual([504, 'host-not-answering']);
  });

  test('causes are not in the response', () => {
    const problem = toProblem(new TooBusyError('busy', { cause: new TypeError('inner') }), 'r');
    expect(JSON.stringify(problem)).not.toContain('inner');
  });

  test('a function responds itself before its time limit', async () => {
    const { handler } = setUp(() => new Promise(() => undefined));
    const answer = await handler(eventFor('listContainers'), { getRemainingTimeInMillis: () => 260 });
    expect([answer.statusCode, JSON.parse(answer.body).code]).toEqual([503, 'too-busy']);
  });

  test('a route of another function is not found', async () => {
    const { handler } = setUp();
    const event = { ...eventFor('listContainers'), routeKey: '$default' };
    expect((await handler(event)).statusCode).toBe(404);
  });
});

test('each request is logged in one line without its content', async () => {
  const { ask, lines } = setUp();
  await ask('createContainer', {
    body: { ...body, env: { KEY: 'hunter2' } },
    headers: { authorization: 'Bearer abc', 'idempotency-key': 'kkk' },
  });
  expect(lines).toHaveLength(1);
  expect(JSON.parse(lines[0] ?? '')).toMatchObject({
    level: 'info',
    message: 'request',
    route: 'createContainer',
    tenant: 'acme',
    status: 200,
    requestId: 'request-1',
  });
  for (const secret of ['hunter2', 'Bearer', 'kkk']) expect(lines.join()).not.toContain(secret);
});

test('every mutation has its own idempotency scope', () => {
  for (const { operationId, mutation, method } of ROUTES)
    expect([operationId, mutation !== undefined]).toEqual([
      operationId,
      method !== 'GET' && !['enrollHost', 'testConversionRule'].includes(operationId),
    ]);
  expect(routeOf('createContainer').method).toBe('POST');
});
