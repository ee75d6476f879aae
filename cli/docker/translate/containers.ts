import type { Container, ContainerSummary } from '../../../core/contract/container.ts';
import { toDockerId } from '../ids.ts';
import { toIsolation } from './isolation.ts';
import { isAutoRemoved, ownLabels } from './labels.ts';
import { toBindings, toExposed, toPortList } from './ports.ts';
import { dockerState, FAILED_TO_START, isRunning, statusText } from './state.ts';

const NEVER = '0001-01-01T00:00:00Z';
const MIB = 1024 * 1024;

/** A line of `docker ps`. */
export const toSummary = (container: ContainerSummary, now: number) => ({
  Id: toDockerId(container.id),
  Names: [`/${container.name}`],
  Image: container.image,
  ImageID: container.image,
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

const stateOf = (container: Container) => {
  const state = dockerState(container);
  return {
    Status: state,
    Running: isRunning(container),
    Paused: false,
    Restarting: state === 'restarting',
    OOMKilled: false,
    Dead: false,
    Pid: 0,
    ExitCode: container.exitCode ?? (container.state === 'Failed' ? FAILED_TO_START : 0),
    Error: container.lastError?.detail ?? '',
    StartedAt: container.startedAt ?? NEVER,
    FinishedAt: state === 'exited' ? container.updatedAt : NEVER,
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

const configOf = (container: Container, openStdin: boolean) => ({
  Hostname: toDockerId(container.id).slice(0, 12),
  User: container.user ?? '',
  AttachStdin: openStdin,
  AttachStdout: true,
  AttachStderr: true,
  Tty: container.tty,
  OpenStdin: openStdin,
  StdinOnce: openStdin,
  Env: Object.entries(container.env).map(([key, value]) => `${key}=${value}`),
  Cmd: container.command,
  Entrypoint: container.entrypoint,
  Image: container.image,
  WorkingDir: container.workingDir ?? '',
  Labels: ownLabels(container.labels),
  ExposedPorts: toExposed(container.ports),
});

/** `docker inspect`. @param openStdin whether stdin was requested; in Bulkhead every main process has one */
export const toInspect = (container: Container, { openStdin }: { readonly openStdin: boolean }) => {
  const [path = '', ...args] = [...(container.entrypoint ?? []), ...(container.command ?? [])];
  return {
    Id: toDockerId(container.id),
    Created: container.createdAt,
    Path: path,
    Args: args,
    State: stateOf(container),
    Image: container.image,
    Name: `/${container.name}`,
    RestartCount: 0,
    Driver: 'bulkhead',
    Platform: '',
    MountLabel: '',
    ProcessLabel: '',
    Mounts: [],
    HostConfig: hostConfigOf(container),
    Config: configOf(container, openStdin),
    NetworkSettings: {
      Ports: toBindings(container.ports),
      Networks: { [container.switchName]: { NetworkID: container.switchName } },
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
