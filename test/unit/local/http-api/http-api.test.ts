import { readFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { ThrottledError } from '../../../../local/errors.ts';
import {
  arnOf,
  type Event,
  FunctionFailure,
  type Resource,
  type Setting,
  type Started,
  startApiGateway,
  type TestFunction,
} from '../../../helpers/api-gateway.ts';
import { ManualCloudClock } from '../../../helpers/manual-cloud-clock.ts';

const route = (key: string, name = 'echo', more: Record<string, unknown> = {}): Resource[] => [
  [
    'Integration',
    `I${name}`,
    {
      ApiId: '@Api',
      IntegrationType: 'AWS_PROXY',
      IntegrationUri: arnOf(name),
      PayloadFormatVersion: '2.0',
      ...more,
    },
  ],
  ['Route', `R${key}`, { ApiId: '@Api', RouteKey: key, Target: `integrations/@I${name}` }],
];

const API: Resource = ['Api', 'Api', { Name: 'api', ProtocolType: 'HTTP' }];
const STAGE: Resource = ['Stage', 'Stage', { ApiId: '@Api', StageName: '$default', AutoDeploy: true }];

describe('an HTTP API', () => {
  let running: Started | undefined;
  let clock = new ManualCloudClock();
  const start = async (setting: Partial<Setting>): Promise<string> => {
    running = await startApiGateway({ resources: [API, STAGE], functions: {}, clock, ...setting });
    return running.endpoint('Api');
  };
  const serve = (functions: Record<string, TestFunction>, resources: readonly Resource[]) =>
    start({ functions, resources: [API, STAGE, ...resources] });

  beforeEach(() => {
    clock = new ManualCloudClock();
  });
  afterEach(async () => {
    await running?.stop();
    running = undefined;
  });

  test('serves only loopback names, and pages of other origins cannot read responses', async () => {
    const url = await serve({ echo: () => ({ statusCode: 200, body: 'secret' }) }, route('GET /echo'));
    const asked = (headers: Record<string, string>) =>
      new Promise<readonly [status: number | undefined, allowed: string | undefined]>((resolve, reject) => {
        request(`${url}/echo`, { headers }, (response) => {
          response.resume();
          resolve([response.statusCode, response.headers['access-control-allow-origin']]);
        })
          .on('error', reject)
          .end();
      });
    const { port } = new URL(url);
    for (const name of ['attacker.example', '127.0.0.1.attacker.example', '10.0.0.1', ''])
      expect((await asked({ host: `${name}:${port}` }))[0]).toBe(403);
    for (const name of ['localhost', '127.0.0.1', '[::1]'])
      expect((await asked({ host: `${name}:${port}` }))[0]).toBe(200);
    expect(await asked({ origin: 'http://attacker.example' })).toEqual([200, undefined]);
  });

  test('throttles a stage, and separately a route with its own settings', async () => {
    const settings = {
      DefaultRouteSettings: { ThrottlingRateLimit: 1, ThrottlingBurstLimit: 2 },
      RouteSettings: { 'GET /own': { ThrottlingRateLimit: 1, ThrottlingBurstLimit: 1 } },
    };
    const stage: Resource = [
      'Stage',
      'Stage',
      { ApiId: '@Api', StageName: '$default', AutoDeploy: true, ...settings },
    ];
    const resources = [
      API,
      stage,
      ...route('GET /own', 'own'),
      ...route('GET /a', 'a'),
      ...route('GET /b', 'b'),
    ];
    const url = await start({ functions: { own: () => 1, a: () => 1, b: () => 1 }, resources });
    const statusOf = async (path: string) => (await fetch(`${url}${path}`)).status;
    expect([await statusOf('/a'), await statusOf('/b'), await statusOf('/a')]).toEqual([200, 200, 429]);
    expect([await statusOf('/own'), await statusOf('/own')]).toEqual([200, 429]);
    expect(await (await fetch(`${url}/own`)).json()).toEqual({ message: 'Too Many Requests' });
    clock.advance(1000);
    expect([await statusOf('/b'), await statusOf('/a'), await statusOf('/own')]).toEqual([200, 429, 200]);
  });

  test('responds with 503 for a function whose reserved concurrency is in use', async () => {
    const throttled = () => {
      throw new ThrottledError('busy');
    };
    const url = await serve({ busy: throttled }, route('GET /busy', 'busy'));
    const response = await fetch(`${url}/busy`);
    expect([response.status, await response.json()]).toEqual([503, { message: 'Service Unavailable' }]);
  });

  describe('passes a function an event of payload format 2.0', () => {
    test('with all parts of a request', async () => {
      const events: Event[] = [];
      const url = await start({
        functions: { echo: (event) => void events.push(event) },
        resources: [
          API,
          [
            'Stage',
            'S',
            { ApiId: '@Api', StageName: 'live', AutoDeploy: true, StageVariables: { colour: 'red' } },
          ],
          ...route('POST /things/{id}/{rest+}'),
        ],
      });
      const response = await fetch(`${url}/live/things/a%20b/c/d%2Be?x=1&y=a%26b&x=2`, {
        method: 'POST',
        body: '{"ü":1}',
        headers: {
          'content-type': 'application/json; charset=utf-8',
          Cookie: 'a=1; b=2',
          'User-Agent': 'me/1',
        },
      });
      const { host } = new URL(url);
      expect(events).toEqual([
        {
          version: '2.0',
          routeKey: 'POST /things/{id}/{rest+}',
          rawPath: '/live/things/a b/c/d+e',
          rawQueryString: 'x=1&y=a%26b&x=2',
          cookies: ['a=1', 'b=2'],
          headers: expect.objectContaining({
            'content-type': 'application/json; charset=utf-8',
            'content-length': '8',
            'user-agent': 'me/1',
            host,
            'x-forwarded-for': '127.0.0.1',
            'x-forwarded-proto': 'http',
            'x-forwarded-port': host.split(':')[1],
          }),
          queryStringParameters: { x: '1,2', y: 'a&b' },
          requestContext: {
            accountId: '123456789012',
            apiId: expect.stringMatching(/^[a-z0-9]{10}$/),
            domainName: host,
            domainPrefix: '127',
            http: {
              method: 'POST',
              path: '/live/things/a b/c/d+e',
              protocol: 'HTTP/1.1',
              sourceIp: '127.0.0.1',
              userAgent: 'me/1',
            },
            requestId: response.headers.get('apigw-requestid'),
            routeKey: 'POST /things/{id}/{rest+}',
            stage: 'live',
            time: '23/Nov/2026:09:05:07 +0000',
            timeEpoch: clock.now(),
          },
          pathParameters: { id: 'a b', rest: 'c/d+e' },
          stageVariables: { colour: 'red' },
          body: '{"ü":1}',
          isBase64Encoded: false,
        },
      ]);
      expect(events[0].headers).not.toHaveProperty('cookie');
    });

    test('without parts that the request lacks', async () => {
      const events: Event[] = [];
      const url = await serve({ echo: (event) => void events.push(event) }, route('GET /plain'));
      await fetch(`${url}/plain`);
      for (const absent of ['cookies', 'queryStringParameters', 'pathParameters', 'stageVariables', 'body'])
        expect(events[0]).not.toHaveProperty(absent);
      expect(events[0]).toMatchObject({ rawQueryString: '', isBase64Encoded: false });
    });

    test('with the values of a repeated header joined by commas', async () => {
      const events: Event[] = [];
      const url = await serve({ echo: (event) => void events.push(event) }, route('GET /h'));
      await new Promise((resolve) => {
        const sent = request(`${url}/h`, { headers: { 'X-Many': ['one', 'two'] } }, (answer) => {
          answer.resume().once('end', resolve);
        });
        sent.end();
      });
      expect(events[0].headers['x-many']).toBe('one,two');
    });

    test.each([
      ['text/csv', false],
      ['application/json', false],
      ['application/xml;charset=utf-8', false],
      ['application/javascript', false],
      ['application/octet-stream', true],
      ['application/x-www-form-urlencoded', true],
      ['application/problem+json', true],
      [undefined, true],
    ])('with a body of type %s in base64: %s', async (type, isBase64Encoded) => {
      const events: Event[] = [];
      const url = await serve({ echo: (event) => void events.push(event) }, route('PUT /b'));
      await fetch(`${url}/b`, {
        method: 'PUT',
        body: Buffer.from('a=b'),
        ...(type === undefined ? {} : { headers: { 'content-type': type } }),
      });
      expect(events[0]).toMatchObject({ isBase64Encoded, body: isBase64Encoded ? 'YT1i' : 'a=b' });
    });
  });

  describe('converts a function’s result', () => {
    const answerOf = async (answer: unknown): Promise<Response> => {
      const url = await serve({ echo: () => answer }, route('GET /'));
      return await fetch(`${url}/`);
    };

    test('an object without statusCode to 200 with JSON', async () => {
      const response = await answerOf({ hello: 'there' });
      expect(response.status).toBe(200);
      expect(response.headers.get('content-type')).toBe('application/json');
      expect(await response.json()).toEqual({ hello: 'there' });
    });

    test('a string to 200 with the text', async () => {
      expect(await (await answerOf('hello')).text()).toBe('hello');
    });

    test('with status, headers, cookies and a base64 body', async () => {
      const response = await answerOf({
        statusCode: 201,
        headers: { 'Content-Type': 'image/png', 'X-Number': 7 },
        cookies: ['a=1; Path=/', 'b=2'],
        body: Buffer.from([0, 255, 1]).toString('base64'),
        isBase64Encoded: true,
      });
      expect(response.status).toBe(201);
      expect(response.headers.get('content-type')).toBe('image/png');
      expect(response.headers.get('x-number')).toBe('7');
      expect(response.headers.getSetCookie()).toEqual(['a=1; Path=/', 'b=2']);
      expect([...new Uint8Array(await response.arrayBuffer())]).toEqual([0, 255, 1]);
    });

    test('a body without a content type to text/plain', async () => {
      const response = await answerOf({ statusCode: 200, body: 'x' });
      expect(response.headers.get('content-type')).toBe('text/plain;charset=UTF-8');
    });

    test.each([
      ['a body that is not a string', { statusCode: 200, body: { a: 1 } }],
      ['an invalid status', { statusCode: 'fine' }],
      ['a list of headers', { statusCode: 200, headers: [] }],
      ['a string of cookies', { statusCode: 200, cookies: 'a=1' }],
    ])('%s: 500', async (_, answer) => {
      const response = await answerOf(answer);
      expect(response.status).toBe(500);
      expect(await response.json()).toEqual({ message: 'Internal Server Error' });
    });
  });

  test('responds with 500 when the function fails', async () => {
    const fail = () => {
      throw new FunctionFailure('no');
    };
    const url = await serve({ echo: fail }, route('GET /'));
    const response = await fetch(`${url}/`);
    expect(response.status).toBe(500);
    expect(await response.json()).toEqual({ message: 'Internal Server Error' });
  });

  test.each([
    ['30 s', {}, 30_000],
    ['a shorter limit of the integration', { TimeoutInMillis: 5_000 }, 5_000],
  ])('answers 503 when the function takes longer than %s', async (_, more, limitMs) => {
    const called = Promise.withResolvers<void>();
    const never = () => {
      called.resolve();
      return new Promise(() => undefined);
    };
    const url = await serve({ echo: never }, route('GET /', 'echo', more));
    const response = fetch(`${url}/`);
    await called.promise;
    clock.advance(limitMs - 1);
    await expect(Promise.race([response, Promise.resolve('waiting')])).resolves.toBe('waiting');
    clock.advance(1);
    expect((await response).status).toBe(503);
    expect(await (await response).json()).toEqual({ message: 'Service Unavailable' });
  });

  test('responds with 413 to a body of more than 10 MB, and accepts one of 10 MB', async () => {
    const url = await serve({ echo: (event) => ({ size: event.body.length }) }, route('POST /'));
    const post = (size: number) =>
      fetch(`${url}/`, {
        method: 'POST',
        body: 'x'.repeat(size),
        headers: { 'content-type': 'text/plain' },
      });
    const limit = 10 * 1024 * 1024;
    expect(await (await post(limit)).json()).toEqual({ size: limit });
    const response = await post(limit + 1);
    expect(response.status).toBe(413);
    expect(await response.json()).toEqual({ message: 'Request Entity Too Large' });
  });

  describe('chooses the most specific route', () => {
    const KEYS = [
      '$default',
      'ANY /{proxy+}',
      'GET /pets/{id}',
      'GET /pets/dog',
      'ANY /pets/dog',
      'GET /pets/{id}/toys',
      'GET /pets/{proxy+}',
    ];
    test.each([
      ['GET', '/pets/dog', 'GET /pets/dog'],
      ['PUT', '/pets/dog', 'ANY /pets/dog'],
      ['GET', '/pets/cat', 'GET /pets/{id}'],
      ['GET', '/pets/cat/toys', 'GET /pets/{id}/toys'],
      ['GET', '/pets/cat/food', 'GET /pets/{proxy+}'],
      ['POST', '/pets/cat', 'ANY /{proxy+}'],
      ['GET', '/', 'ANY /{proxy+}'],
    ])('%s %s → %s', async (method, path, expected) => {
      const url = await serve(
        { echo: (event) => event.routeKey },
        KEYS.toReversed().flatMap((key) => route(key)),
      );
      expect(await (await fetch(url + path, { method })).text()).toBe(expected);
    });

    test('or $default if no other matches', async () => {
      const url = await serve({ echo: (event) => event.routeKey }, [
        ...route('$default'),
        ...route('GET /a'),
      ]);
      expect(await (await fetch(`${url}/a/b`, { method: 'PATCH' })).text()).toBe('$default');
    });

    test.each([['/nothing'], ['/a/'], ['/a/b']])(
      'or responds with 404 to %s without a match',
      async (path) => {
        const url = await serve({ echo: () => 'x' }, route('GET /a'));
        const response = await fetch(url + path);
        expect(response.status).toBe(404);
        expect(await response.json()).toEqual({ message: 'Not Found' });
      },
    );
  });

  test('writes the access log in the format of the stage', async () => {
    const url = await start({
      functions: { echo: () => ({ statusCode: 202 }) },
      resources: [
        API,
        [
          'Stage',
          'S',
          {
            ApiId: '@Api',
            StageName: '$default',
            AccessLogSettings: {
              DestinationArn: 'arn:aws:logs:us-east-1:123456789012:log-group:/bulkhead/access:*',
              Format:
                '{"m":"$context.httpMethod","s":$context.status,"r":"$context.routeKey","e":"$context.authorizer.error"}',
            },
          },
        ],
        ...route('GET /a'),
      ],
    });
    await (await fetch(`${url}/a`)).text();
    await (await fetch(`${url}/b`)).text();
    const log = readFileSync(join(running?.stateDir ?? '', 'logs', '_bulkhead_access.log'), 'utf8');
    expect(log.trim().split('\n')).toEqual([
      '{"m":"GET","s":202,"r":"GET /a","e":"-"}',
      '{"m":"GET","s":404,"r":"-","e":"-"}',
    ]);
  });

  test('refuses payload format 1.0 with its own error', async () => {
    await expect(serve({}, route('GET /', 'echo', { PayloadFormatVersion: '1.0' }))).rejects.toThrow(
      'Properties.PayloadFormatVersion: 1.0 is not implemented for this protocol (implemented: 2.0)',
    );
  });
});
