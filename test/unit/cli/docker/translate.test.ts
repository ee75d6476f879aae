import { describe, expect, test } from '@jest/globals';
import { frame } from '../../../../cli/docker/frames.ts';
import { toDockerId, toUuid } from '../../../../cli/docker/ids.ts';
import { parseEndpoint } from '../../../../cli/docker/listen.ts';
import { toInspect, toSummary } from '../../../../cli/docker/translate/containers.ts';
import { toDockerError } from '../../../../cli/docker/translate/error.ts';
import { EVENT_FILTERS, eventMatches, toDockerEvent } from '../../../../cli/docker/translate/events.ts';
import {
  CONTAINER_FILTERS,
  checkFilters,
  matchesFilters,
  parseFilters,
} from '../../../../cli/docker/translate/filters.ts';
import { AUTO_REMOVE_LABEL } from '../../../../cli/docker/translate/labels.ts';
import { dockerState, humanDuration, statusText } from '../../../../cli/docker/translate/state.ts';
import { parseTime } from '../../../../cli/docker/translate/time.ts';
import { ProblemError, ThrottledError } from '../../../../core/client/index.ts';
import type { Container } from '../../../../core/contract/container.ts';
import { containerOf, ID, imageOf } from '../../client/records.ts';

describe('responses to docker', () => {
  const now = Date.parse('2026-11-25T19:40:22Z');

  test.each([
    [{ state: 'Off' }, 'created', 'Created'],
    [{ state: 'Off', exitCode: 3 }, 'exited', 'Exited (3) 3 minutes ago'],
    [{ state: 'Failed' }, 'exited', 'Exited (128) 3 minutes ago'],
    [{ state: 'Starting' }, 'created', 'Starting'],
    [{ state: 'Running', startedAt: '2026-11-25T18:40:22Z' }, 'running', 'Up About an hour'],
    [{ state: 'Stopping', startedAt: '2026-11-25T19:40:17Z' }, 'running', 'Up 5 seconds'],
    [{ state: 'Converting', exitCode: 0 }, 'restarting', 'Converting its runtime type'],
    [{ state: 'Removing' }, 'removing', 'Removal In Progress'],
    [{ state: 'Unknown' }, 'running', 'Up (the host does not respond)'],
  ] as const)('%j is %s: %s', (change, state, status) => {
    const container = containerOf(change);
    expect([dockerState(container), statusText(container, now)]).toEqual([state, status]);
  });

  test.each([
    [0.2, 'Less than a second'],
    [1, '1 second'],
    [59, '59 seconds'],
    [61, 'About a minute'],
    [120, '2 minutes'],
    [5300, 'About an hour'],
    [7200, '2 hours'],
    [3 * 86_400, '3 days'],
    [21 * 86_400, '3 weeks'],
  ])('%i seconds: %s', (seconds, text) => {
    expect(humanDuration(seconds)).toBe(text);
  });

  test('inspect shows the resolved isolation, and no labels of the bridge', () => {
    const container = containerOf({
      labels: { a: 'b', [AUTO_REMOVE_LABEL]: 'true' },
      ports: [{ hostPort: 8080, containerPort: 80, protocol: 'tcp' }],
    });
    const shown = toInspect(container, { openStdin: true, image: undefined });
    expect(shown).toMatchObject({
      Id: toDockerId(ID),
      Name: '/HYPVCON',
      Path: 'cmd',
      Args: ['/c', 'a b'],
      State: { Status: 'created', Running: false },
      HostConfig: {
        Isolation: 'hyperv',
        AutoRemove: true,
        PortBindings: { '80/tcp': [{ HostPort: '8080' }] },
      },
      Config: { Labels: { a: 'b' }, OpenStdin: true },
    });
    expect(
      toInspect(containerOf({ runtimeType: 'Default' }), { openStdin: false, image: undefined }).HostConfig
        .Isolation,
    ).toBe('process');
    expect(toSummary(container, now)).toMatchObject({
      Names: ['/HYPVCON'],
      Labels: { a: 'b' },
      State: 'created',
    });
  });

  test('ids are UUIDs without dashes, and can be converted back', () => {
    expect(toUuid(toDockerId(ID))).toBe(ID);
    expect(toUuid(ID.toUpperCase())).toBe(ID);
    expect([toUuid('web'), toUuid(toDockerId(ID).slice(0, 12))]).toEqual([undefined, undefined]);
  });

  test('a frame contains stream, length and bytes', () => {
    expect([...frame('stdout', Buffer.from('hi'))]).toEqual([1, 0, 0, 0, 0, 0, 0, 2, 104, 105]);
    expect([...frame('stderr', new Uint8Array(300)).slice(0, 8)]).toEqual([2, 0, 0, 0, 0, 0, 1, 44]);
  });

  test.each([
    ['Container Created', null, 'Off', 'create'],
    ['Container State Changed', 'Starting', 'Running', 'start'],
    ['Container State Changed', 'Running', 'Off', 'die'],
    ['Container State Changed', 'Off', 'Starting', undefined],
    ['Container Removed', 'Removing', null, 'destroy'],
    ['Container Updated', 'Off', 'Off', undefined],
  ] as const)('event %s, %s to %s: %s', (type, previousState, state, action) => {
    const event = toDockerEvent({
      ...{
        id: 'e',
        time: '2026-01-01T00:00:01.500Z',
        type,
        previousState,
        state,
        revision: 1,
        operationId: null,
      },
      ...{ actor: 'x', resource: { kind: 'container', id: ID, name: 'web' } },
    });
    expect(event?.Action).toBe(action);
    if (event !== undefined)
      expect(event).toMatchObject({
        time: 1_767_225_601,
        Actor: { ID: toDockerId(ID), Attributes: { name: 'web' } },
      });
  });
});

describe('the event of an end', () => {
  const event = toDockerEvent({
    ...{
      id: 'e',
      time: '2026-01-01T00:00:01.500Z',
      type: 'Container State Changed',
      revision: 2,
      actor: 'x',
    },
    ...{ previousState: 'Running', state: 'Off', operationId: null, image: 'alpine:3.10', exitCode: 137 },
    resource: { kind: 'container', id: ID, name: 'web' },
  });

  test('has the exit code and the image, also in the members of the first versions', () => {
    expect(event).toMatchObject({
      Actor: { Attributes: { name: 'web', image: 'alpine:3.10', exitCode: '137' } },
      ...{ scope: 'local', status: 'die', id: toDockerId(ID), from: 'alpine:3.10' },
    });
  });

  test.each([
    [{ image: ['alpine:3.10'] }, true],
    [{ image: ['alpine'] }, false],
    [{ event: ['die', 'start'], type: ['container'] }, true],
    [{ event: ['start'] }, false],
    [{ container: ['web'], scope: ['local'] }, true],
  ])('matches the filters %j: %s', (filters, matches) => {
    expect(event && eventMatches(event, filters)).toBe(matches);
  });

  test.each(['label', 'network', 'odd'])(
    'the filter %s is refused, because events do not have it',
    (name) => {
      expect(() => checkFilters({ [name]: ['x'] }, EVENT_FILTERS)).toThrow(`invalid filter '${name}'`);
    },
  );
});

describe('filters', () => {
  const container = containerOf({ state: 'Off', exitCode: 3, labels: { app: 'web', empty: '' } });
  test.each<[Record<string, string[]>, boolean]>([
    [{ name: ['HYP'] }, true],
    [{ name: ['^/HYPVCON$'] }, true],
    [{ name: ['^VCON'] }, false],
    [{ name: ['(a+)+$'] }, false],
    [{ id: ['0120F5'] }, true],
    [{ label: ['app=web', 'empty'] }, true],
    [{ label: ['app=web', 'gone'] }, false],
    [{ status: ['running', 'exited'] }, true],
    [{ status: ['running'] }, false],
    [{ exited: ['3'] }, true],
    [{ ancestor: ['nanoserver:latest'] }, true],
    [{ isolation: ['hyperv'] }, true],
    [{ isolation: ['process'] }, false],
    [{ network: ['nat'] }, true],
    [{ name: ['HYP'], isolation: ['process'] }, false],
  ])('%j: %s', (filters, shown) => {
    expect(matchesFilters(container, filters)).toBe(shown);
  });

  test('are parsed in both formats, and refused otherwise', () => {
    expect(parseFilters('{"name":{"a":true,"b":false}}')).toEqual({ name: ['a'] });
    expect(parseFilters('{"name":["a"]}')).toEqual({ name: ['a'] });
    expect(parseFilters(null)).toEqual({});
    expect(() => parseFilters('nonsense')).toThrow('invalid filters');
    expect(() => checkFilters({ odd: ['x'] }, CONTAINER_FILTERS)).toThrow("invalid filter 'odd'");
    expect(matchesFilters(container, { volume: ['x'] })).toBe(false);
    expect(() => matchesFilters(container, { status: ['odd'] })).toThrow("invalid filter 'status=odd'");
  });
});

test('times in a query are parsed', () => {
  expect([
    parseTime('1767225601.5'),
    parseTime('2026-01-01T00:00:01Z'),
    parseTime('0'),
    parseTime(null),
  ]).toEqual([1_767_225_601_500, 1_767_225_601_000, undefined, undefined]);
  expect(() => parseTime('yesterday')).toThrow('invalid time');
});

describe('the address of the bridge', () => {
  test('is a Unix socket or loopback', () => {
    expect(parseEndpoint('unix:///run/b.sock')).toEqual({ kind: 'unix', path: '/run/b.sock' });
    expect(parseEndpoint('tcp://localhost:2375')).toEqual({ kind: 'tcp', host: '127.0.0.1', port: 2375 });
    expect(parseEndpoint('tcp://[::1]:0')).toEqual({ kind: 'tcp', host: '::1', port: 0 });
  });
  test.each([
    'tcp://0.0.0.0:2375',
    'tcp://10.0.0.1:1',
    'tcp://127.0.0.1:99999',
    'unix://relative',
    'npipe:////./pipe/x',
    `unix:///${'a'.repeat(120)}`,
  ])('%s is refused', (endpoint) => {
    expect(() => parseEndpoint(endpoint)).toThrow();
  });
});

test('a request that the API throttles returns 429 with the suggestion', () => {
  const problem = {
    ...{ type: 'urn:bulkhead:problem:too-many-requests', title: 'Too many requests', status: 429 },
    ...{ code: 'too-many-requests' as const, detail: 'The tenant sends more requests than its share.' },
    suggestion: 'Wait 2 s.',
  };
  for (const error of [new ProblemError(problem), new ThrottledError()])
    expect(toDockerError(error)).toMatchObject({
      status: 429,
      message: expect.stringMatching(/requests.* (Wait|Try)/i),
    });
});

describe('facts of the newest run', () => {
  const run = {
    ...{ startedAt: '2026-01-01T00:00:01.000Z', endedAt: '2026-01-01T00:00:09.000Z', restartCount: 3 },
    ...{ restarting: false, outOfMemory: true, ports: [] },
  };
  const inspect = (change: Partial<Container>) =>
    toInspect(containerOf({ exitCode: 137, lastRun: run, ...change }), {
      openStdin: false,
      image: undefined,
    });

  test('of an ended container are its own, whatever was changed since', () => {
    const { State, RestartCount } = inspect({ updatedAt: '2026-06-01T00:00:00.000Z' });
    expect([State, RestartCount]).toMatchObject([
      { Status: 'exited', OOMKilled: true, StartedAt: run.startedAt, FinishedAt: run.endedAt, ExitCode: 137 },
      3,
    ]);
  });

  test('a container that its policy will restart is restarting, and counts as running', () => {
    const { State } = inspect({ lastRun: { ...run, restarting: true } });
    expect(State).toMatchObject({ Status: 'restarting', Restarting: true, Running: true });
  });

  test('published ports have the host’s port while the container runs, and no binding otherwise', () => {
    const ports = [{ containerPort: 80, protocol: 'tcp' as const }];
    const published = { hostPort: 32_768, containerPort: 80, protocol: 'tcp' as const };
    const live = inspect({ state: 'Running', ports, lastRun: { ...run, endedAt: null, ports: [published] } });
    expect(live.NetworkSettings.Ports).toEqual({ '80/tcp': [{ HostIp: '0.0.0.0', HostPort: '32768' }] });
    expect(inspect({ ports }).NetworkSettings.Ports).toEqual({ '80/tcp': null });
  });

  test('the configuration of the image completes that of the container', () => {
    const config = {
      entrypoint: ['/entry'],
      command: ['serve'],
      env: ['A=image', 'B=image'],
      workingDir: '/srv',
    };
    const image = imageOf('web', { config: { ...config, user: 'www', stopSignal: 'INT' } });
    const of = (change: Partial<Container>) =>
      toInspect(containerOf({ command: null, env: { A: 'own' }, ...change }), { openStdin: false, image });
    expect(of({})).toMatchObject({
      Path: '/entry',
      Args: ['serve'],
      Config: {
        ...{ Entrypoint: ['/entry'], Cmd: ['serve'], Env: ['A=own', 'B=image'], WorkingDir: '/srv' },
        ...{ User: 'www', StopSignal: 'INT' },
      },
    });
    expect(of({ entrypoint: ['sh'] }).Config).toMatchObject({ Entrypoint: ['sh'], Cmd: null });
    expect(of({ command: ['x'] })).toMatchObject({ Path: '/entry', Args: ['x'] });
  });
});
