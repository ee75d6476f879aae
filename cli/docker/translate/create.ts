import type { CreateContainerRequest } from '../../../core/contract/container.ts';
import { DockerError, unsupported } from '../errors.ts';
import { toRuntimeType } from './isolation.ts';
import { AUTO_REMOVE_LABEL } from './labels.ts';
import { toPorts } from './ports.ts';

/**
 * Translates `POST /containers/create` to a Bulkhead request. Docker's body has about a hundred members, nearly all empty.
 * Supported members are translated. Any other member with a value is refused by the name of its option, because a
 * container that silently lacks a requested feature is worse than an error.
 */
type Json = Readonly<Record<string, unknown>>;

/** Members of the body that are translated here or have no effect on the container. */
const CONFIG = new Set([
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
  ...[
    'AttachStdin',
    'AttachStdout',
    'AttachStderr',
    'StdinOnce',
    'HostConfig',
    'NetworkingConfig',
    'ArgsEscaped',
  ],
]);
const HOST_CONFIG = new Set([
  ...['Isolation', 'AutoRemove', 'Memory', 'NanoCpus', 'PortBindings', 'RestartPolicy', 'NetworkMode'],
  ...['ConsoleSize', 'LogConfig', 'PublishAllPorts', 'StorageOpt'],
]);

/** The docker option for a member. */
const OPTIONS: Readonly<Record<string, string>> = {
  Binds: '--volume',
  Mounts: '--mount',
  Volumes: '--volume',
  VolumesFrom: '--volumes-from',
  Healthcheck: '--health-cmd',
  Hostname: '--hostname',
  Domainname: '--domainname',
  StopSignal: '--stop-signal',
  StopTimeout: '--stop-timeout',
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
  CpuPeriod: '--cpu-period',
  CpuQuota: '--cpu-quota',
  CpusetCpus: '--cpuset-cpus',
  MemoryReservation: '--memory-reservation',
  MemorySwap: '--memory-swap',
  MemorySwappiness: '--memory-swappiness',
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
  PublishAllPorts: '--publish-all',
  VolumeDriver: '--volume-driver',
};

/** Whether the member is omitted, or has the value that docker sends by default. */
const isEmpty = (value: unknown): boolean => {
  if (value === undefined || value === null || value === '' || value === false || value === 0 || value === -1)
    return true;
  if (Array.isArray(value)) return value.every(isEmpty);
  return typeof value === 'object' && Object.values(value).every(isEmpty);
};

const refuseOthers = (body: Json, known: ReadonlySet<string>): void => {
  for (const [member, value] of Object.entries(body))
    if (!known.has(member) && !isEmpty(value)) throw unsupported(OPTIONS[member] ?? `"${member}"`);
};

const object = (value: unknown): Json => (typeof value === 'object' && value !== null ? (value as Json) : {});
const text = (value: unknown): string => (typeof value === 'string' ? value : '');
const words = (value: unknown): string[] => {
  if (typeof value === 'string') return [value];
  return Array.isArray(value) ? value.map(String) : [];
};

const environment = (list: readonly string[]): Record<string, string> =>
  Object.fromEntries(
    list.map((one) => {
      const at = one.indexOf('=');
      if (at < 1)
        throw new DockerError(
          501,
          `Removing the variable "${one}" of the image is not supported by Bulkhead.`,
        );
      return [one.slice(0, at), one.slice(at + 1)];
    }),
  );

const RESTART_NAMES: Readonly<Record<string, 'no' | 'always' | 'on-failure'>> = {
  '': 'no',
  no: 'no',
  always: 'always',
  'on-failure': 'on-failure',
};

const restartPolicy = (policy: Json): CreateContainerRequest['restartPolicy'] => {
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

const resources = (host: Json): CreateContainerRequest['resources'] => {
  const memory = Number(host.Memory ?? 0);
  const nanoCpus = Number(host.NanoCpus ?? 0);
  const diskMB = diskOf(object(host.StorageOpt));
  if (memory === 0 && nanoCpus === 0 && diskMB === undefined) return undefined;
  return {
    ...(memory === 0 ? {} : { memoryMB: Math.ceil(memory / MIB) }),
    ...(nanoCpus === 0 ? {} : { cpus: nanoCpus / 1e9 }),
    ...(diskMB === undefined ? {} : { diskMB }),
  };
};

const checkNetworks = (networking: Json): void => {
  for (const [name, endpoint] of Object.entries(object(networking.EndpointsConfig))) {
    const { Aliases, NetworkID, ...rest } = object(endpoint);
    if (!isEmpty(rest)) throw unsupported(`--network ${name} with endpoint options`);
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

const valueIf = <T>(value: T, isGiven: boolean): T | undefined => (isGiven ? value : undefined);

/** @param name from the query; the API refuses names that only Docker allows */
export const toCreateRequest = (body: unknown, name: string | null): CreateContainerRequest => {
  const config = object(body);
  const host = object(config.HostConfig);
  refuseOthers(config, CONFIG);
  refuseOthers(host, HOST_CONFIG);
  if (host.PublishAllPorts === true) throw unsupported('--publish-all');
  const log = object(host.LogConfig);
  if (!isEmpty(log.Type) || !isEmpty(log.Config)) throw unsupported('--log-driver and --log-opt');
  checkNetworks(object(config.NetworkingConfig));
  const entrypoint = words(config.Entrypoint);
  const command = words(config.Cmd);
  const env = environment(words(config.Env));
  const ports = toPorts(object(host.PortBindings) as Parameters<typeof toPorts>[0]);
  const { autoRemove, labels } = removal(config, host);
  const allLabels = { ...object(config.Labels), ...labels } as Record<string, string>;
  return {
    image: text(config.Image),
    name: name === null || name === '' ? undefined : name,
    runtimeType: toRuntimeType(text(host.Isolation)),
    switchName: switchName(text(host.NetworkMode)),
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
    labels: valueIf(allLabels, Object.keys(allLabels).length > 0),
    resources: resources(host),
    ports: valueIf(ports, ports.length > 0),
    restartPolicy: restartPolicy(object(host.RestartPolicy)),
    autoRemove,
  };
};
