import type { CreateContainerRequest } from '../../../core/contract/container.ts';
import { NO_SWITCH } from '../../../core/contract/primitives.ts';
import { DockerError, unsupported } from '../errors.ts';
import { toRuntimeType } from './isolation.ts';
import { AUTO_REMOVE_LABEL, STOP_TIMEOUT_LABEL } from './labels.ts';
import { isEmpty, refuseMembers } from './members.ts';
import { toPorts } from './ports.ts';

/**
 * Translates `POST /containers/create` to a Bulkhead request. Docker's body has about a hundred members, nearly all empty.
 * Supported members are translated. Any other member with a value is refused by the name of its option, because a
 * container that silently lacks a requested feature is worse than an error.
 */
type Json = Readonly<Record<string, unknown>>;

/** Members of the body that are translated here or have no effect on the container. */
const CONFIG = [
  ...[
    'Image',
    'Cmd',
    'Entrypoint',
    'Env',
    'User',
    'WorkingDir',
    'Labels',
    'Tty',
    'OpenStdin',
    'ExposedPorts',
  ],
  ...['AttachStdin', 'AttachStdout', 'AttachStderr', 'StdinOnce', 'HostConfig', 'NetworkingConfig'],
  ...['ArgsEscaped', 'NetworkDisabled', 'Healthcheck', 'StopTimeout'],
];
const HOST_CONFIG = [
  ...[
    'Isolation',
    'AutoRemove',
    'Memory',
    'NanoCpus',
    'CpuPeriod',
    'CpuQuota',
    'PortBindings',
    'RestartPolicy',
  ],
  ...['NetworkMode', 'ConsoleSize', 'LogConfig', 'PublishAllPorts', 'StorageOpt', 'MemorySwappiness'],
  // The docker CLI writes this file itself.
  'ContainerIDFile',
];

/** The docker option for a member. */
export const OPTIONS: Readonly<Record<string, string>> = {
  Memory: '--memory',
  NanoCpus: '--cpus',
  CpuPeriod: '--cpu-period',
  CpuQuota: '--cpu-quota',
  Binds: '--volume',
  Mounts: '--mount',
  Volumes: '--volume',
  VolumesFrom: '--volumes-from',
  Hostname: '--hostname',
  Domainname: '--domainname',
  StopSignal: '--stop-signal',
  MacAddress: '--mac-address',
  Privileged: '--privileged',
  CapAdd: '--cap-add',
  CapDrop: '--cap-drop',
  Dns: '--dns',
  DnsOptions: '--dns-option',
  DnsSearch: '--dns-search',
  ExtraHosts: '--add-host',
  Devices: '--device',
  DeviceRequests: '--gpus',
  CpuShares: '--cpu-shares',
  CpuRealtimePeriod: '--cpu-rt-period',
  CpuRealtimeRuntime: '--cpu-rt-runtime',
  CpusetMems: '--cpuset-mems',
  CpuCount: '--cpu-count',
  CpuPercent: '--cpu-percent',
  IOMaximumIOps: '--io-maxiops',
  IOMaximumBandwidth: '--io-maxbandwidth',
  BlkioWeight: '--blkio-weight',
  BlkioWeightDevice: '--blkio-weight-device',
  BlkioDeviceReadBps: '--device-read-bps',
  BlkioDeviceWriteBps: '--device-write-bps',
  BlkioDeviceReadIOps: '--device-read-iops',
  BlkioDeviceWriteIOps: '--device-write-iops',
  CgroupParent: '--cgroup-parent',
  DeviceCgroupRules: '--device-cgroup-rule',
  OomScoreAdj: '--oom-score-adj',
  KernelMemory: '--kernel-memory',
  Annotations: '--annotation',
  CpusetCpus: '--cpuset-cpus',
  MemoryReservation: '--memory-reservation',
  MemorySwap: '--memory-swap',
  OomKillDisable: '--oom-kill-disable',
  PidsLimit: '--pids-limit',
  PidMode: '--pid',
  IpcMode: '--ipc',
  UTSMode: '--uts',
  UsernsMode: '--userns',
  CgroupnsMode: '--cgroupns',
  ReadonlyRootfs: '--read-only',
  SecurityOpt: '--security-opt',
  ShmSize: '--shm-size',
  Sysctls: '--sysctl',
  Tmpfs: '--tmpfs',
  Ulimits: '--ulimit',
  Init: '--init',
  Runtime: '--runtime',
  GroupAdd: '--group-add',
  Links: '--link',
  VolumeDriver: '--volume-driver',
};

const object = (value: unknown): Json => (typeof value === 'object' && value !== null ? (value as Json) : {});
const text = (value: unknown): string => (typeof value === 'string' ? value : '');
const words = (value: unknown): string[] => {
  if (typeof value === 'string') return [value];
  return Array.isArray(value) ? value.map(String) : [];
};

/** Variables without `=`, which docker removes from those of the image. */
export const removedVariables = (body: unknown): string[] =>
  words(object(body).Env).filter((one) => one.indexOf('=') < 1);

const environment = (list: readonly string[]): Record<string, string> =>
  Object.fromEntries(
    list.flatMap((one) => {
      const at = one.indexOf('=');
      return at < 1 ? [] : [[one.slice(0, at), one.slice(at + 1)]];
    }),
  );

const RESTART_NAMES: Readonly<Record<string, 'no' | 'always' | 'on-failure'>> = {
  '': 'no',
  no: 'no',
  always: 'always',
  'on-failure': 'on-failure',
};

export const restartPolicy = (policy: Json): CreateContainerRequest['restartPolicy'] => {
  const name = RESTART_NAMES[text(policy.Name)];
  if (name === undefined) throw unsupported(`--restart ${text(policy.Name)}`);
  const retries = Number(policy.MaximumRetryCount ?? 0);
  return { name, ...(name === 'on-failure' && retries > 0 ? { maxRetries: retries } : {}) };
};

const switchName = (mode: string): string | undefined => {
  if (mode === 'host' || mode.startsWith('container:')) throw unsupported(`--network ${mode}`);
  return ['', 'default', 'bridge'].includes(mode) ? undefined : mode;
};

const MIB = 1024 * 1024;
const UNITS: Readonly<Record<string, number>> = { '': 1, k: 1024, m: MIB, g: 1024 * MIB, t: MIB * MIB };

/** The size in `--storage-opt size=…`, in docker's format: 512m, 2g, 2GB, or bytes without a unit. @returns MiB */
const diskOf = (options: Json): number | undefined => {
  const { size, ...rest } = options;
  const [other] = Object.keys(rest);
  if (other !== undefined) throw unsupported(`--storage-opt ${other}`);
  if (size === undefined) return undefined;
  const [, number, unit = ''] = /^(\d+(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?$/i.exec(text(size)) ?? [];
  if (number === undefined)
    throw new DockerError(
      400,
      `--storage-opt size="${text(size)}" is not a size. Use a size such as 512m or 2g.`,
    );
  return Math.ceil((Number(number) * (UNITS[unit.toLowerCase()] ?? 1)) / MIB);
};

/** The kernel's default in microseconds. */
const DEFAULT_CPU_PERIOD = 100_000;

/** The limit of CPU time as a number of CPUs, which docker accepts in two forms; 0: none. */
const cpusOf = ({ NanoCpus, CpuPeriod, CpuQuota }: Json): number => {
  const [nano, quota] = [Number(NanoCpus ?? 0), Number(CpuQuota ?? 0)];
  if (nano > 0 && quota > 0)
    throw new DockerError(400, 'Conflicting options: Nano CPUs and CPU Quota cannot both be set.');
  return nano > 0 ? nano / 1e9 : Math.max(0, quota) / (Number(CpuPeriod ?? 0) || DEFAULT_CPU_PERIOD);
};

const resources = (host: Json): CreateContainerRequest['resources'] => {
  const memory = Number(host.Memory ?? 0);
  const cpus = cpusOf(host);
  const diskMB = diskOf(object(host.StorageOpt));
  if (memory === 0 && cpus === 0 && diskMB === undefined) return undefined;
  return {
    ...(memory === 0 ? {} : { memoryMB: Math.ceil(memory / MIB) }),
    ...(cpus === 0 ? {} : { cpus }),
    ...(diskMB === undefined ? {} : { diskMB }),
  };
};

const checkNetworks = (networking: Json): void => {
  for (const [name, endpoint] of Object.entries(object(networking.EndpointsConfig))) {
    const { Aliases, NetworkID, ...rest } = object(endpoint);
    if (!Object.values(rest).every(isEmpty)) throw unsupported(`--network ${name} with endpoint options`);
  }
};

/** The bridge removes the container of an attached `run --rm`, after it has sent the output. */
const removal = (
  config: Json,
  host: Json,
): Pick<CreateContainerRequest, 'autoRemove'> & { labels: object } => {
  if (host.AutoRemove !== true) return { labels: {} };
  const isAttached = config.AttachStdout === true || config.AttachStderr === true;
  return isAttached ? { labels: { [AUTO_REMOVE_LABEL]: 'true' } } : { autoRemove: true, labels: {} };
};

/** Docker's other log drivers. */
const LOG_DRIVERS = [
  ...['none', 'local', 'syslog', 'journald', 'gelf', 'fluentd', 'awslogs', 'splunk', 'etwlogs', 'gcplogs'],
  'logentries',
];

/** Members that are supported with some values only. */
const checkValues = (config: Json, host: Json): void => {
  const { Type, Config } = object(host.LogConfig);
  // Logs are as with docker's default driver: kept on the host, and read by `docker logs`.
  const driver = text(Type);
  if (!['', 'json-file', ...LOG_DRIVERS].includes(driver))
    throw new DockerError(400, `logger: no log driver named '${driver}' is registered`);
  if (LOG_DRIVERS.includes(driver)) throw unsupported(`--log-driver ${driver}`);
  if (!isEmpty(Config)) throw unsupported('--log-opt');
  const [test] = words(object(config.Healthcheck).Test);
  // No health check of an image is run either.
  if (test !== undefined && test !== 'NONE') throw unsupported('--health-cmd');
  // The docker CLI sends -1 for "not set".
  if (!isEmpty(host.MemorySwappiness) && host.MemorySwappiness !== -1)
    throw unsupported('--memory-swappiness');
};

/** Labels for settings that the bridge applies itself. */
const settingLabels = ({ StopTimeout }: Json): Record<string, string> =>
  isEmpty(StopTimeout) ? {} : { [STOP_TIMEOUT_LABEL]: String(StopTimeout) };

const valueIf = <T>(value: T, isGiven: boolean): T | undefined => (isGiven ? value : undefined);

/** @param name from the query; the API refuses names that only Docker allows */
export const toCreateRequest = (body: unknown, name: string | null): CreateContainerRequest => {
  const config = object(body);
  const host = object(config.HostConfig);
  refuseMembers(config, CONFIG, OPTIONS);
  refuseMembers(host, HOST_CONFIG, OPTIONS);
  checkValues(config, host);
  checkNetworks(object(config.NetworkingConfig));
  const entrypoint = words(config.Entrypoint);
  const command = words(config.Cmd);
  const env = environment(words(config.Env));
  const exposed = host.PublishAllPorts === true ? Object.keys(object(config.ExposedPorts)) : [];
  const ports = toPorts({
    ...Object.fromEntries(exposed.map((port) => [port, [{}]])),
    ...(object(host.PortBindings) as Parameters<typeof toPorts>[0]),
  });
  const { autoRemove, labels } = removal(config, host);
  const allLabels = { ...object(config.Labels), ...labels, ...settingLabels(config) } as Record<
    string,
    string
  >;
  return {
    image: text(config.Image),
    name: name === null || name === '' ? undefined : name,
    runtimeType: toRuntimeType(text(host.Isolation)),
    switchName: config.NetworkDisabled === true ? NO_SWITCH : switchName(text(host.NetworkMode)),
    // `--entrypoint ""` is sent as one empty word.
    entrypoint: valueIf(
      entrypoint.filter((word) => word !== ''),
      entrypoint.length > 0,
    ),
    command: valueIf(command, command.length > 0),
    env: valueIf(env, Object.keys(env).length > 0),
    workingDir: text(config.WorkingDir) || undefined,
    user: text(config.User) || undefined,
    tty: valueIf(true, config.Tty === true),
    stdin: valueIf(false, config.OpenStdin !== true),
    labels: valueIf(allLabels, Object.keys(allLabels).length > 0),
    resources: resources(host),
    ports: valueIf(ports, ports.length > 0),
    restartPolicy: restartPolicy(object(host.RestartPolicy)),
    autoRemove,
  };
};
