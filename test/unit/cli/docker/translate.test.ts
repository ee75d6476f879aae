import { describe, expect, test } from '@jest/globals';
import { frame } from '../../../../cli/docker/frames.ts';
import { toDockerId, toUuid } from '../../../../cli/docker/ids.ts';
import { parseEndpoint } from '../../../../cli/docker/listen.ts';
import { toInspect, toSummary } from '../../../../cli/docker/translate/containers.ts';
import { toCreateRequest } from '../../../../cli/docker/translate/create.ts';
import { toDockerError } from '../../../../cli/docker/translate/error.ts';
import { toDockerEvent } from '../../../../cli/docker/translate/events.ts';
import { matchesFilters, parseFilters } from '../../../../cli/docker/translate/filters.ts';
import { AUTO_REMOVE_LABEL } from '../../../../cli/docker/translate/labels.ts';
import { dockerState, humanDuration, statusText } from '../../../../cli/docker/translate/state.ts';
import { parseTime } from '../../../../cli/docker/translate/time.ts';
import { ProblemError, ThrottledError } from '../../../../core/client/index.ts';
import { CreateContainerRequestSchema } from '../../../../core/contract/container.ts';
import { containerOf, ID } from '../../client/records.ts';

/** The members that `docker create` of client 28 sends without any option, if they have a value. */
const PLAIN = {
  ...{
    Hostname: '',
    Domainname: '',
    User: '',
    AttachStdin: false,
    AttachStdout: true,
    AttachStderr: true,
    Tty: false,
  },
  ...{
    OpenStdin: false,
    StdinOnce: false,
    Env: null,
    Cmd: null,
    Image: 'mini',
    Volumes: {},
    WorkingDir: '',
    Entrypoint: null,
  },
  ...{ OnBuild: null, Labels: {} },
  HostConfig: {
    ...{
      Binds: null,
      ContainerIDFile: '',
      LogConfig: { Type: '', Config: {} },
      NetworkMode: 'default',
      PortBindings: {},
    },
    ...{
      RestartPolicy: { Name: 'no', MaximumRetryCount: 0 },
      AutoRemove: false,
      VolumeDriver: '',
      VolumesFrom: null,
    },
    ...{
      ConsoleSize: [24, 80],
      CapAdd: null,
      CapDrop: null,
      CgroupnsMode: '',
      Dns: [],
      DnsOptions: [],
      DnsSearch: [],
    },
    ...{
      ExtraHosts: null,
      GroupAdd: null,
      IpcMode: '',
      Cgroup: '',
      Links: null,
      OomScoreAdj: 0,
      PidMode: '',
    },
    ...{
      Privileged: false,
      PublishAllPorts: false,
      ReadonlyRootfs: false,
      SecurityOpt: null,
      UTSMode: '',
      ShmSize: 0,
    },
    ...{
      Isolation: '',
      CpuShares: 0,
      Memory: 0,
      NanoCpus: 0,
      CgroupParent: '',
      BlkioWeight: 0,
      BlkioWeightDevice: [],
    },
    ...{ CpuPeriod: 0, CpuQuota: 0, CpusetCpus: '', Devices: [], DeviceRequests: null, MemoryReservation: 0 },
    ...{ MemorySwap: 0, MemorySwappiness: -1, OomKillDisable: false, PidsLimit: 0, Ulimits: [], CpuCount: 0 },
    ...{ CpuPercent: 0, IOMaximumIOps: 0, MaskedPaths: null, ReadonlyPaths: null },
  },
  NetworkingConfig: {
    EndpointsConfig: { default: { IPAMConfig: null, Links: null, Aliases: null, DriverOpts: null } },
  },
};
const withHost = (host: object, config: object = {}) => ({
  ...PLAIN,
  ...config,
  HostConfig: { ...PLAIN.HostConfig, ...host },
});
const said = (request: object) => JSON.parse(JSON.stringify(request));

describe('docker create', () => {
  test('sends only the image without options', () => {
    expect(said(toCreateRequest(PLAIN, null))).toEqual({ image: 'mini', restartPolicy: { name: 'no' } });
  });

  test.each([
    ['2G', 2048],
    ['512m', 512],
    ['1.5gb', 1536],
    [String(100 * 1024 * 1024 + 1), 101],
  ])('--storage-opt size=%s', (size, diskMB) => {
    const { resources } = toCreateRequest(withHost({ StorageOpt: { size } }, {}), null);
    expect(resources).toEqual({ diskMB });
  });

  test('a storage option other than a valid size is refused by name', () => {
    expect(() => toCreateRequest(withHost({ StorageOpt: { size: 'big' } }, {}), null)).toThrow('not a size');
    expect(() => toCreateRequest(withHost({ StorageOpt: { 'dm.fs': 'xfs' } }, {}), null)).toThrow(
      '--storage-opt dm.fs',
    );
  });

  test('translates every supported option', () => {
    const body = withHost(
      {
        ...{
          Isolation: 'HyperV',
          Memory: 300 * 1024 * 1024 + 1,
          NanoCpus: 1.5e9,
          NetworkMode: 'Virtual Switch',
        },
        PortBindings: { '80/tcp': [{ HostIp: '', HostPort: '8080' }], '53/udp': [{ HostPort: '' }] },
        RestartPolicy: { Name: 'on-failure', MaximumRetryCount: 3 },
      },
      {
        ...{ Env: ['A=b=c'], Cmd: ['-l'], Entrypoint: ['ls'], User: 'me', WorkingDir: '/srv', Tty: true },
        ...{ Labels: { app: 'web' }, ExposedPorts: { '80/tcp': {} }, OpenStdin: true },
      },
    );
    const request = toCreateRequest(body, 'web');
    expect(said(request)).toEqual({
      image: 'mini',
      name: 'web',
      runtimeType: 'HyperV',
      switchName: 'Virtual Switch',
      entrypoint: ['ls'],
      command: ['-l'],
      env: { A: 'b=c' },
      workingDir: '/srv',
      user: 'me',
      tty: true,
      labels: { app: 'web' },
      resources: { memoryMB: 301, cpus: 1.5 },
      ports: [
        { hostPort: 8080, containerPort: 80, protocol: 'tcp' },
        { containerPort: 53, protocol: 'udp' },
      ],
      restartPolicy: { name: 'on-failure', maxRetries: 3 },
    });
    expect(CreateContainerRequestSchema.safeParse(said(request)).success).toBe(true);
  });

  test.each([
    ['', undefined],
    ['default', undefined],
    ['process', 'Default'],
    ['PROCESS', 'Default'],
    ['hyperv', 'HyperV'],
    ['HyperV', 'HyperV'],
  ])('--isolation=%s', (isolation, runtimeType) => {
    expect(toCreateRequest(withHost({ Isolation: isolation }), null).runtimeType).toBe(runtimeType);
  });

  test('an unknown isolation is refused with Docker’s message', () => {
    expect(() => toCreateRequest(withHost({ Isolation: 'x' }), null)).toThrow(
      "invalid isolation (x): Windows supports 'default', 'process', or 'hyperv'",
    );
  });

  test('a container of --rm is removed by the control plane, or by the bridge if a client is attached', () => {
    const detached = toCreateRequest(
      withHost({ AutoRemove: true }, { AttachStdout: false, AttachStderr: false }),
      null,
    );
    expect(said(detached)).toMatchObject({ autoRemove: true });
    const attached = said(toCreateRequest(withHost({ AutoRemove: true }), null));
    expect(attached).toMatchObject({ labels: { [AUTO_REMOVE_LABEL]: 'true' } });
    expect(attached).not.toHaveProperty('autoRemove');
  });

  test.each([
    [{ Binds: ['/a:/b'] }, '--volume'],
    [{ Mounts: [{ Type: 'bind' }] }, '--mount'],
    [{ Privileged: true }, '--privileged'],
    [{ CapAdd: ['NET_ADMIN'] }, '--cap-add'],
    [{ CpuShares: 512 }, '--cpu-shares'],
    [{ PidMode: 'host' }, '--pid'],
    [{ NetworkMode: 'host' }, '--network host'],
    [{ NetworkMode: 'container:x' }, '--network container:x'],
    [{ RestartPolicy: { Name: 'unless-stopped' } }, '--restart unless-stopped'],
    [{ PublishAllPorts: true }, '--publish-all'],
    [{ LogConfig: { Type: 'syslog', Config: {} } }, '--log-driver'],
    [{ Init: true }, '--init'],
    [{ SomethingNew: 1 }, '"SomethingNew"'],
  ])('%j is refused by its name', (host, name) => {
    expect(() => toCreateRequest(withHost(host), null)).toThrow(name);
  });

  test.each([
    [{ Hostname: 'h' }, '--hostname'],
    [{ Healthcheck: { Test: ['x'] } }, '--health-cmd'],
    [{ StopSignal: 'INT' }, '--stop-signal'],
  ])('%j is refused by its name', (config, name) => {
    expect(() => toCreateRequest({ ...PLAIN, ...config }, null)).toThrow(name);
  });

  test.each([null, 'x', [], { HostConfig: 7 }, { Env: 'A=b', Cmd: { a: 1 } }])(
    'an unexpected body such as %j is translated without an error',
    (body) => {
      expect(typeof toCreateRequest(body, null).image).toBe('string');
    },
  );
});

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
    const shown = toInspect(container, { openStdin: true });
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
      toInspect(containerOf({ runtimeType: 'Default' }), { openStdin: false }).HostConfig.Isolation,
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
    expect(() => matchesFilters(container, { volume: ['x'] })).toThrow("invalid filter 'volume'");
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
