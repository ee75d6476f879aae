import type { Container, ContainerSummary } from '../../../core/contract/container.ts';
import type { Image, ImageConfig } from '../../../core/contract/image.ts';
import { toDockerId } from '../ids.ts';
import { toIsolation } from './isolation.ts';
import { imageNameOf, isAutoRemoved, ownLabels, STOP_TIMEOUT_LABEL } from './labels.ts';
import { toBindings, toExposed, toPortList } from './ports.ts';
import { dockerState, FAILED_TO_START, isRunning, statusText } from './state.ts';

const NEVER = '0001-01-01T00:00:00Z';
const MIB = 1024 * 1024;

/** A line of `docker ps`. @param imageId the digest of the image, if it is known */
export const toSummary = (container: ContainerSummary, now: number, imageId?: string) => ({
  Id: toDockerId(container.id),
  Names: [`/${container.name}`],
  Image: imageNameOf(container),
  ImageID: imageId ?? container.image,
  Command: (container.command ?? []).join(' '),
  Created: Math.floor(Date.parse(container.createdAt) / 1000),
  Ports: toPortList(container.ports),
  Labels: ownLabels(container.labels),
  State: dockerState(container),
  Status: statusText(container, now),
  HostConfig: { NetworkMode: container.switchName },
  NetworkSettings: { Networks: { [container.switchName]: {} } },
  Mounts: [],
});

const hasEnded = (state: string): boolean => state === 'exited' || state === 'restarting';

const stateOf = (container: Container) => {
  const state = dockerState(container);
  return {
    Status: state,
    // As in docker: a container that waits for its restart counts as running.
    Running: isRunning(container) || state === 'restarting',
    Paused: false,
    Restarting: state === 'restarting',
    OOMKilled: container.lastRun?.outOfMemory ?? false,
    Dead: false,
    Pid: 0,
    ExitCode: container.exitCode ?? (container.state === 'Failed' ? FAILED_TO_START : 0),
    Error: container.lastError?.detail ?? '',
    StartedAt: container.lastRun?.startedAt ?? container.startedAt ?? NEVER,
    FinishedAt: container.lastRun?.endedAt ?? (hasEnded(state) ? container.updatedAt : NEVER),
  };
};

const hostConfigOf = (container: Container) => ({
  Isolation: toIsolation(container.runtimeType),
  NetworkMode: container.switchName,
  Memory: container.resources.memoryMB * MIB,
  StorageOpt: { size: `${container.resources.diskMB}m` },
  NanoCpus: Math.round(container.resources.cpus * 1e9),
  PortBindings: toBindings(container.ports),
  RestartPolicy: {
    Name: container.restartPolicy.name,
    MaximumRetryCount: container.restartPolicy.maxRetries ?? 0,
  },
  AutoRemove: isAutoRemoved(container),
  LogConfig: { Type: 'json-file', Config: {} },
  ConsoleSize: [0, 0],
  Binds: null,
  Privileged: false,
});

const orNull = (words: readonly string[]): readonly string[] | null => (words.length === 0 ? null : words);

/** `Config` of an image; empty if its configuration is not known. */
export const imageConfig = (config: ImageConfig | null) =>
  config === null
    ? {}
    : {
        Entrypoint: orNull(config.entrypoint),
        Cmd: orNull(config.command),
        Env: config.env,
        WorkingDir: config.workingDir,
        User: config.user,
        Labels: null,
        ...(config.stopSignal === '' ? {} : { StopSignal: config.stopSignal }),
      };

/** The program of a container. An entrypoint of its own replaces both members of the image. */
const programOf = ({ entrypoint, command }: Container, image: ImageConfig | null) => ({
  entrypoint: entrypoint ?? image?.entrypoint ?? [],
  command: command ?? (entrypoint === null ? (image?.command ?? []) : []),
});

const environmentOf = (container: Container, image: ImageConfig | null): string[] => {
  const isReplaced = (one: string): boolean => Object.hasOwn(container.env, one.split('=', 1)[0] ?? '');
  const own = Object.entries(container.env).map(([key, value]) => `${key}=${value}`);
  return [...own, ...(image?.env ?? []).filter((one) => !isReplaced(one))];
};

const configOf = (container: Container, { image, openStdin }: Inspected) => {
  const config = image?.config ?? null;
  const { entrypoint, command } = programOf(container, config);
  return {
    Hostname: toDockerId(container.id).slice(0, 12),
    Domainname: '',
    User: container.user ?? config?.user ?? '',
    AttachStdin: openStdin,
    AttachStdout: true,
    AttachStderr: true,
    Tty: container.tty,
    OpenStdin: openStdin,
    StdinOnce: openStdin,
    Env: environmentOf(container, config),
    Cmd: orNull(command),
    Entrypoint: orNull(entrypoint),
    Image: imageNameOf(container),
    Volumes: null,
    WorkingDir: container.workingDir ?? config?.workingDir ?? '',
    OnBuild: null,
    Labels: ownLabels(container.labels),
    ExposedPorts: toExposed(container.ports),
    ...(config === null || config.stopSignal === '' ? {} : { StopSignal: config.stopSignal }),
    ...stopTimeoutOf(container),
  };
};

const stopTimeoutOf = ({ labels }: Container) =>
  labels[STOP_TIMEOUT_LABEL] === undefined ? {} : { StopTimeout: Number(labels[STOP_TIMEOUT_LABEL]) };

/** Published ports have no binding while the container does not run. */
const exposedPorts = ({ ports }: Container) =>
  Object.fromEntries(Object.keys(toExposed(ports)).map((port) => [port, null]));

const networkOf = (container: Container) => ({
  NetworkID: container.switchName,
  EndpointID: '',
  IPAddress: container.lastRun?.address ?? '',
  Gateway: '',
  MacAddress: '',
  Aliases: null,
});

interface Inspected {
  /** Whether stdin was requested; in Bulkhead every main process has one. */
  readonly openStdin: boolean;
  /** The image of the container, if it still exists. */
  readonly image: Image | undefined;
}

/** `docker inspect`. */
export const toInspect = (container: Container, inspected: Inspected) => {
  const { entrypoint, command } = programOf(container, inspected.image?.config ?? null);
  const [path = '', ...args] = [...entrypoint, ...command];
  return {
    Id: toDockerId(container.id),
    Created: container.createdAt,
    Path: path,
    Args: args,
    State: stateOf(container),
    Image: inspected.image?.digest ?? container.image,
    Name: `/${container.name}`,
    RestartCount: container.lastRun?.restartCount ?? 0,
    Driver: 'bulkhead',
    Platform: '',
    MountLabel: '',
    ProcessLabel: '',
    Mounts: [],
    HostConfig: hostConfigOf(container),
    Config: configOf(container, inspected),
    NetworkSettings: {
      Bridge: '',
      Gateway: '',
      IPAddress: container.lastRun?.address ?? '',
      Ports: { ...exposedPorts(container), ...toBindings(container.lastRun?.ports ?? [], '0.0.0.0') },
      Networks: { [container.switchName]: networkOf(container) },
    },
    // Not part of Docker's response; docker ignores unknown members.
    Bulkhead: {
      hostId: container.hostId,
      state: container.state,
      runtimeType: container.runtimeType,
      revision: container.revision,
    },
  };
};
