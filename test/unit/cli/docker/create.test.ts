import { describe, expect, test } from '@jest/globals';
import { toCreateRequest } from '../../../../cli/docker/translate/create.ts';
import { AUTO_REMOVE_LABEL } from '../../../../cli/docker/translate/labels.ts';
import { CreateContainerRequestSchema } from '../../../../core/contract/container.ts';

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

const NETWORK_WITH_ADDRESS = {
  EndpointsConfig: { NAT: { IPAMConfig: { IPv4Address: '10.0.0.9' } } },
};

describe('docker create', () => {
  test('sends only the image without options', () => {
    expect(said(toCreateRequest(PLAIN, null))).toEqual({
      image: 'mini',
      stdin: false,
      restartPolicy: { name: 'no' },
    });
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

  /** The members of docker's published API that Bulkhead does not support, with a value that asks for something. */
  const UNSUPPORTED_HOST: Readonly<Record<string, unknown>> = {
    ...{
      Binds: ['/a:/b'],
      Mounts: [{ Type: 'tmpfs', Target: '/t' }],
      Tmpfs: { '/run': '' },
      VolumesFrom: ['x'],
    },
    ...{ VolumeDriver: 'local', CpuShares: 1, CpuRealtimePeriod: 1, CpuRealtimeRuntime: 1, CpusetCpus: '0' },
    ...{
      CpusetMems: '0',
      CpuCount: 1,
      CpuPercent: 1,
      IOMaximumIOps: 1,
      IOMaximumBandwidth: 1,
      BlkioWeight: 10,
    },
    ...{
      BlkioWeightDevice: [{ Path: '/dev/sda', Weight: 0 }],
      BlkioDeviceReadBps: [{ Path: '/dev/sda', Rate: 0 }],
    },
    ...{
      BlkioDeviceWriteBps: [{}],
      BlkioDeviceReadIOps: [{}],
      BlkioDeviceWriteIOps: [{}],
      CgroupParent: 'x',
    },
    ...{
      Devices: [{ PathOnHost: '' }],
      DeviceCgroupRules: ['a'],
      DeviceRequests: [{}],
      MemoryReservation: 1,
    },
    ...{
      MemorySwap: -1,
      MemorySwappiness: 60,
      OomKillDisable: true,
      Init: true,
      PidsLimit: -1,
      Ulimits: [{}],
    },
    ...{ CapAdd: ['ALL'], CapDrop: ['ALL'], CgroupnsMode: 'host', Dns: ['1.1.1.1'], DnsOptions: ['a'] },
    ...{
      DnsSearch: ['a'],
      ExtraHosts: ['a:1.1.1.1'],
      GroupAdd: ['1'],
      IpcMode: 'host',
      Cgroup: 'x',
      Links: ['a:b'],
    },
    ...{
      OomScoreAdj: -1,
      PidMode: 'host',
      Privileged: true,
      ReadonlyRootfs: true,
      SecurityOpt: ['a'],
      UTSMode: 'host',
    },
    ...{ UsernsMode: 'host', ShmSize: 1, Sysctls: { 'net.a': '' }, Runtime: 'runc', Annotations: { a: '' } },
    ...{
      MaskedPaths: ['/a'],
      ReadonlyPaths: ['/a'],
      LogConfig: { Type: 'json-file', Config: { 'max-size': '' } },
    },
    ...{ StorageOpt: { other: '1' }, RestartPolicy: { Name: 'unless-stopped' }, NetworkMode: 'host' },
  };
  const UNSUPPORTED_CONFIG: Readonly<Record<string, unknown>> = {
    ...{
      Hostname: 'h',
      Domainname: 'd',
      Volumes: { '/data': {} },
      MacAddress: 'a',
      OnBuild: ['a'],
      Shell: ['sh'],
    },
    ...{ StopSignal: 'INT', Healthcheck: { Test: ['CMD', 'x'] }, NetworkingConfig: NETWORK_WITH_ADDRESS },
  };

  test.each(Object.entries(UNSUPPORTED_HOST))(
    'HostConfig.%s is refused by name, not ignored',
    (name, value) => {
      expect(() => toCreateRequest(withHost({ [name]: value }), null)).toThrow('not supported by Bulkhead');
    },
  );

  test.each(Object.entries(UNSUPPORTED_CONFIG))('%s is refused by name, not ignored', (name, value) => {
    expect(() => toCreateRequest({ ...PLAIN, [name]: value }, null)).toThrow('not supported by Bulkhead');
  });

  test('supported forms: CPU quota, no network, default log driver, no health check, stop timeout, all ports', () => {
    const request = toCreateRequest(
      withHost(
        {
          ...{ CpuQuota: 150_000, LogConfig: { Type: 'json-file', Config: {} }, MemorySwappiness: -1 },
          PublishAllPorts: true,
        },
        {
          ...{ NetworkDisabled: true, StopTimeout: 3, Healthcheck: { Test: ['NONE'] } },
          ExposedPorts: { '80/tcp': {} },
        },
      ),
      null,
    );
    expect(said(request)).toMatchObject({
      resources: { cpus: 1.5 },
      switchName: 'none',
      labels: { 'bulkhead.docker/stop-timeout': '3' },
      ports: [{ containerPort: 80, protocol: 'tcp' }],
    });
    expect(() => toCreateRequest(withHost({ CpuQuota: 1, NanoCpus: 1 }), null)).toThrow(
      'Conflicting options',
    );
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
