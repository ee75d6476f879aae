import { mkdtempSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from '@jest/globals';
import { listen } from '../../../../cli/docker/listen.ts';
import { createDockerBridge } from '../../../../cli/docker/server.ts';
import { pagesOfOneTime } from '../../../helpers/log-pages.ts';
import { type Call, problem, type Reply } from '../../client/fake-api.ts';
import { containerOf, ID, imageOf, operationOf } from '../../client/records.ts';
import { type Answer, bridge, closeBridges, message, page, UPGRADE } from './fake-bridge.ts';

afterEach(closeBridges);

test('ping returns the API version and the system, for paths with and without a version', async () => {
  const { ask } = await bridge();
  for (const path of ['/_ping', '/v1.24/_ping', '/v1.50/_ping']) {
    const { status, headers } = await ask('HEAD', path);
    expect([status, headers['api-version'], headers.ostype, headers['builder-version']]).toEqual([
      200,
      '1.47',
      'linux',
      '1',
    ]);
  }
  const old = await ask('GET', '/v1.12/_ping');
  expect([old.status, message(old)]).toEqual([400, expect.stringContaining('too old')]);
});

test('the socket is private to the user; a stale socket is replaced, one with a listener is not', async () => {
  const { socketPath } = await bridge();
  expect(statSync(socketPath).mode & 0o777).toBe(0o600);
  const { server } = createDockerBridge({} as never);
  await expect(listen(server, { kind: 'unix', path: socketPath })).rejects.toThrow('listens on');
  const file = join(mkdtempSync(join(tmpdir(), 'bulkhead-')), 'file');
  writeFileSync(file, 'precious');
  await expect(listen(server, { kind: 'unix', path: file })).rejects.toThrow('is not a socket');
});

describe.each(['unix', 'tcp'] as const)('over %s', (over) => {
  test.each<Record<string, string>>([
    { host: 'localhost:2375', origin: 'http://evil.example.com' },
    { host: 'localhost:2375', 'sec-fetch-site': 'cross-site' },
    { host: 'localhost:2375', 'sec-fetch-site': 'none' },
    { host: 'localhost:2375', 'sec-fetch-site': 'same-origin', ...UPGRADE },
  ])('requests of a web page are refused without a call to the API: %j', async (headers) => {
    const { ask, calls } = await bridge(undefined, undefined, over);
    expect((await ask('POST', '/containers/create', { Image: 'mini' }, headers)).status).toBe(403);
    expect(calls).toEqual([]);
  });

  test.each([
    ...['docker', 'docker:2375', '%2Frun%2Fbulkhead.sock', '/run/bulkhead.sock', 'any.example.com'],
    ...['http', 'unix', 'localhost.evil.example.com'],
  ])('any other host name is accepted only on a Unix socket, which no browser reaches: %s', async (host) => {
    const { ask, calls } = await bridge(undefined, undefined, over);
    const { status } = await ask('GET', '/_ping', undefined, { host });
    expect(status).toBe(over === 'unix' ? 200 : 403);
    if (over === 'tcp') expect(calls).toEqual([]);
  });

  test.each(['localhost:2375', '127.0.0.1:2375', '[::1]:2375', 'api.moby.localhost'])(
    'a request for a host name of this machine is accepted: %s',
    async (host) => {
      const { ask } = await bridge(undefined, undefined, over);
      expect((await ask('GET', '/_ping', undefined, { host })).status).toBe(200);
    },
  );
});

describe('errors in Docker’s format', () => {
  test('no such container, no such image, name already in use', async () => {
    const { ask } = await bridge(({ method, url, body }) => {
      if (method === 'GET' && url.endsWith('/containers/taken'))
        return { status: 200, body: containerOf({ name: 'taken' }) };
      if (method !== 'POST') return undefined;
      return (body as { name?: string }).name === 'taken'
        ? problem(409, 'name-taken')
        : problem(409, 'image-not-found');
    });
    const gone = await ask('GET', '/v1.47/containers/gone/json');
    expect([gone.status, message(gone)]).toEqual([404, 'No such container: gone']);
    const taken = await ask('POST', '/v1.47/containers/create?name=taken', { Image: 'mini' });
    expect([taken.status, message(taken)]).toEqual([
      409,
      `Conflict. The container name "/taken" is already in use by container "${ID.replaceAll('-', '')}". ` +
        'You have to remove (or rename) that container to be able to reuse that name.',
    ]);
    const image = await ask('POST', '/v1.47/containers/create', { Image: 'nope:latest' });
    expect([image.status, message(image)]).toEqual([404, 'No such image: nope:latest']);
  });

  test('the tag "latest" also means an image without a tag', async () => {
    const { ask, calls } = await bridge(({ method, url, body }) => {
      if (method === 'GET' && url.endsWith('/v1/images/mini')) return { status: 200, body: imageOf('mini') };
      if (method !== 'POST') return undefined;
      return (body as { image: string }).image === 'mini'
        ? { status: 202, body: { container: containerOf(), operation: operationOf() } }
        : problem(409, 'image-not-found');
    });
    expect((await ask('POST', '/containers/create', { Image: 'mini:latest' })).status).toBe(201);
    expect(calls.filter(({ method }) => method === 'POST')).toHaveLength(2);
  });

  test.each([
    ['POST', '/containers/x/rename?name=y', 'docker rename'],
    ['POST', '/containers/x/pause', 'docker pause'],
    ['GET', '/containers/x/stats', 'docker stats'],
    ['POST', '/build', 'docker build'],
    ['GET', '/containers/x/archive?path=/', 'docker cp'],
    ['POST', '/images/a/b:c/push', 'docker push'],
    ['POST', '/networks/create', 'docker network create'],
    ['GET', '/swarm', 'docker swarm'],
    ['POST', '/secrets/create', 'docker secret'],
    ['GET', '/plugins/x/json', 'docker plugin'],
  ])('%s %s is refused by name', async (method, path, name) => {
    const { ask } = await bridge();
    const answer = await ask(method, path);
    expect([answer.status, message(answer)]).toEqual([
      501,
      expect.stringContaining(`${name} is not supported by Bulkhead`),
    ]);
  });

  test('the message, suggestion and request id of the API are passed on', async () => {
    const { ask } = await bridge(({ method }) =>
      method === 'POST'
        ? problem(409, 'no-host-fits', { suggestion: 'Add a host.', requestId: 'r-9' })
        : undefined,
    );
    const answer = await ask('POST', '/containers/create', { Image: 'mini' });
    expect([answer.status, message(answer)]).toEqual([409, 'It is no-host-fits. Add a host. (request r-9)']);
  });

  test.each([
    ['POST', '/build', 'docker build'],
    ['POST', '/images/load', 'docker load'],
    ['PUT', '/containers/x/archive?path=/', 'docker cp'],
    ['POST', '/images/create?fromSrc=-&repo=x', 'docker import'],
  ])('%s %s with a body that is no JSON is refused by name', async (method, path, name) => {
    const { ask } = await bridge();
    const answer = await ask(method, path, Buffer.from('a tar archive'));
    expect([answer.status, message(answer)]).toEqual([501, expect.stringContaining(name)]);
  });

  test.each([
    ['GET', '/containers/json?size=1', '--size'],
    ['GET', `/containers/${ID}/logs?stdout=1&details=1`, 'logs --details'],
    ['POST', `/containers/${ID}/stop?signal=INT`, '--signal'],
    ['DELETE', `/containers/${ID}?link=1`, '--link'],
  ])('%s %s: the parameter is refused by name', async (method, path, name) => {
    const { ask } = await bridge(({ url }) =>
      url.includes(ID) ? { status: 200, body: containerOf({ state: 'Running' }) } : undefined,
    );
    const answer = await ask(method, path);
    expect([answer.status, message(answer)]).toEqual([501, expect.stringContaining(name)]);
  });

  test.each([
    ['exec', { Cmd: ['ls'], Privileged: true }, '--privileged'],
    ['update', { Memory: 1 }, '--memory'],
    ['update', { PidsLimit: 5 }, '--pids-limit'],
  ])('%s with %j is refused by name', async (verb, body, name) => {
    const { ask } = await bridge(({ url }) =>
      url.includes(ID) ? { status: 200, body: containerOf({ state: 'Running' }) } : undefined,
    );
    const answer = await ask('POST', `/containers/${ID}/${verb}`, body);
    expect([answer.status, message(answer)]).toEqual([501, expect.stringContaining(name)]);
  });

  test('a body that is not JSON', async () => {
    const { ask } = await bridge();
    const odd = await ask('POST', '/containers/create');
    expect(odd.status).toBeGreaterThanOrEqual(400);
    expect(JSON.parse(odd.body)).toHaveProperty('message');
  });
});

describe('the routes', () => {
  const web = containerOf({ id: ID, name: 'web', state: 'Running', startedAt: '2026-11-25T19:37:22.000Z' });
  const other = containerOf({ id: ID.replace('0120f597', 'a120f597'), name: 'other', exitCode: 3 });
  const api = (call: Call): Reply | undefined => {
    const { pathname } = new URL(call.url);
    if (call.method === 'GET' && pathname === '/v1/containers') return page([web, other]);
    if (call.method === 'GET' && pathname === '/v1/images') return page([]);
    if (call.method === 'GET' && pathname === `/v1/containers/${ID}`) return { status: 200, body: web };
    if (call.method === 'GET' && pathname === '/v1/containers/other') return { status: 200, body: other };
    return undefined;
  };
  const names = (answer: Answer): string[] =>
    JSON.parse(answer.body).map((one: { Names: string[] }) => one.Names[0]);

  test('ps lists running containers, all containers, by filter, or the newest', async () => {
    const { ask } = await bridge(api);
    expect(names(await ask('GET', '/containers/json'))).toEqual(['/web']);
    expect(names(await ask('GET', '/containers/json?all=1'))).toEqual(['/web', '/other']);
    expect(names(await ask('GET', '/containers/json?limit=1'))).toEqual(['/web']);
    expect(
      names(await ask('GET', '/containers/json?filters=%7B%22status%22%3A%5B%22exited%22%5D%7D')),
    ).toEqual(['/other']);
  });

  test('a container is found by a prefix of its id; an ambiguous prefix is refused', async () => {
    const { ask } = await bridge(api);
    expect(JSON.parse((await ask('GET', '/containers/0120f5/json')).body)).toMatchObject({ Name: '/web' });
    expect((await ask('GET', '/containers/f/json')).status).toBe(404);
    const { ask: askTwo } = await bridge((call) =>
      call.url.includes('/v1/containers?')
        ? page([web, { ...other, id: ID.replace('91ad0', '91ad1') }])
        : undefined,
    );
    expect(message(await askTwo('GET', '/containers/0120f5/json'))).toContain('Multiple IDs found');
  });

  test('start and stop without effect return 304; removing a running and killing a stopped container return 409', async () => {
    const unchanged = {
      status: 200,
      body: { container: web, operation: operationOf({ state: 'Succeeded' }) },
    };
    const { ask } = await bridge((call) => (call.method === 'POST' ? unchanged : api(call)));
    const id = ID.replaceAll('-', '');
    expect((await ask('POST', `/containers/${id}/start`)).status).toBe(304);
    expect((await ask('POST', `/containers/${id}/stop?t=5`)).status).toBe(304);
    const remove = await ask('DELETE', `/containers/${id}`);
    expect([remove.status, message(remove)]).toEqual([409, expect.stringContaining('container is running')]);
    const kill = await ask('POST', '/containers/other/kill');
    expect([kill.status, message(kill)]).toEqual([409, expect.stringContaining('is not running')]);
  });

  test('wait sends the headers immediately, and the exit code at the end', async () => {
    let looks = 0;
    const { ask } = await bridge((call) => {
      if (!call.url.endsWith(`/v1/containers/${ID}`)) return undefined;
      looks += 1;
      const ended = { ...web, state: 'Off' as const, exitCode: 7, revision: 9 };
      return { status: 200, body: looks < 3 ? web : ended };
    });
    expect(JSON.parse((await ask('POST', `/containers/${ID}/wait`)).body)).toEqual({ StatusCode: 7 });
  });

  test('events with --until returns the events of that time and ends', async () => {
    const event = (second: number, type: string) => ({
      ...{
        id: `e${second}`,
        time: `2026-01-01T00:00:0${second}.000Z`,
        type,
        resource: { kind: 'container', id: ID, name: 'web' },
      },
      ...{ revision: second, previousState: null, state: 'Off', operationId: null, actor: 'me' },
    });
    const items = [
      event(1, 'Container Created'),
      event(2, 'Container Removed'),
      event(5, 'Container Created'),
    ];
    const { ask } = await bridge((call) =>
      call.url.includes('/v1/events')
        ? { status: 200, body: { items: call.url.includes('cursor') ? [] : items, nextCursor: 'n' } }
        : undefined,
    );
    const { body } = await ask('GET', '/events?since=1767225602&until=1767225604');
    expect(
      body
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line).Action),
    ).toEqual(['destroy']);
  });

  test('logs returns the requested streams in frames', async () => {
    const items = [
      { at: '2026-01-01T00:00:00.000Z', stream: 'stdout', text: 'out' },
      { at: '2026-01-01T00:00:01.000Z', stream: 'stderr', text: 'err' },
    ];
    const { ask } = await bridge((call) =>
      call.url.includes('/logs')
        ? { status: 200, body: { items, truncated: false, more: false, nextCursor: 'n' } }
        : api(call),
    );
    const both = await ask('GET', `/containers/${ID}/logs?stdout=1&stderr=1`);
    expect(both.headers['content-type']).toBe('application/vnd.docker.multiplexed-stream');
    expect(both.body).toBe('\u0001\0\0\0\0\0\0\u0004out\n\u0002\0\0\0\0\0\0\u0004err\n');
    expect((await ask('GET', `/containers/${ID}/logs?stderr=1`)).body).toContain('err');
    expect(message(await ask('GET', `/containers/${ID}/logs`))).toContain('at least one stream');
  });

  test.each(['', '&follow=1'])('logs%s returns all of 4,000 lines with the same time', async (follow) => {
    const lines = Array.from({ length: 4_000 }, (_, index) => `line ${index} ${'x'.repeat(60)}`);
    const pages = await pagesOfOneTime(lines);
    expect(pages.size).toBeGreaterThan(2);
    const { ask } = await bridge((call) => {
      const { pathname, searchParams } = new URL(call.url);
      if (!pathname.endsWith('/logs')) return { status: 200, body: containerOf({ state: 'Off', tty: true }) };
      return { status: 200, body: pages.get(searchParams.get('cursor') ?? '') };
    });
    const { body } = await ask('GET', `/containers/${ID}/logs?stdout=1${follow}`);
    expect(body).toBe(`${lines.join('\n')}\n`);
  });
});

describe('control sequences from a container are escaped', () => {
  const hostile = '\u001b]52;c;aGk=\u0007\u009b2J\u202e\r';
  const shown = '\\x1b]52;c;aGk=\\x07\\x9b2J\\u202e\\x0d';

  test('in names and command lines of processes', async () => {
    const process = {
      ...{ pid: 7, name: hostile, userName: hostile, commandLine: hostile },
      ...{ cpuSeconds: 1, workingSetBytes: 0, startedAt: null },
    };
    const { ask } = await bridge(({ url }) => {
      const { pathname } = new URL(url);
      if (pathname === `/v1/containers/${ID}/processes`) return page([process]);
      if (pathname === `/v1/containers/${ID}`)
        return { status: 200, body: containerOf({ state: 'Running', startedAt: '2026-11-25T19:40:17Z' }) };
      return undefined;
    });
    const { body } = await ask('GET', `/containers/${ID.replaceAll('-', '')}/top`);
    expect(JSON.parse(body).Processes).toEqual([[shown, '7', '00:00:01', shown]]);
  });

  test('in errors', async () => {
    const { ask } = await bridge(() => problem(409, 'invalid-state', { detail: hostile }));
    const id = ID.replaceAll('-', '');
    const refused = await ask('GET', `/containers/${id}/json`);
    expect(message(refused)).toContain(shown);
    expect(refused.body).not.toContain('\u009b');
  });
});
