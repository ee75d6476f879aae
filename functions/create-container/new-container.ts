import type { ContainerSpec, CreateContainerRequest } from '../../core/contract/container.ts';
import { resolveNetworkPolicy } from '../../core/contract/network.ts';
import { DEFAULT_RESOURCES, toRuntimeType } from '../../core/contract/primitives.ts';
import { DEFAULT_SWITCH, generatedName } from '../../core/domain/names.ts';
import type { ContainerRecord } from '../../store/containers.ts';

/** The host chooses a port in place of 0. */
const withoutZero = ({ hostPort, ...port }: NonNullable<CreateContainerRequest['ports']>[number]) => ({
  ...(hostPort ? { hostPort } : {}),
  ...port,
});

const specOf = (request: CreateContainerRequest): ContainerSpec => {
  const {
    image,
    switchName,
    entrypoint,
    command,
    env,
    workingDir,
    user,
    tty,
    stdin,
    ports,
    placement,
    autoRemove,
  } = request;
  return {
    image,
    switchName: switchName ?? DEFAULT_SWITCH,
    network: resolveNetworkPolicy(request.network),
    networkRevision: 0,
    ...(entrypoint && { entrypoint }),
    ...(command && { command }),
    ...(env && { env }),
    ...(workingDir !== undefined && { workingDir }),
    ...(user !== undefined && { user }),
    ...(tty !== undefined && { tty }),
    // The default is not stored.
    ...(stdin === false && { stdin }),
    resources: {
      memoryMB: request.resources?.memoryMB ?? DEFAULT_RESOURCES.memoryMB,
      cpus: request.resources?.cpus ?? DEFAULT_RESOURCES.cpus,
      diskMB: request.resources?.diskMB ?? DEFAULT_RESOURCES.diskMB,
    },
    ...(ports && { ports: ports.map(withoutZero) }),
    restartPolicy: request.restartPolicy ?? { name: 'no' },
    ...(placement && { placement }),
    ...(autoRemove !== undefined && { autoRemove }),
  };
};

interface CreationContext {
  readonly tenant: string;
  readonly actor: string;
  readonly id: string;
  readonly operationId: string;
  readonly now: Date;
}

/**
 * The requested container, with the operation that creates it as its active one. Until it is created its state is `Off`
 * or, with `start`, `Starting`.
 */
export const newContainer = (
  request: CreateContainerRequest,
  { tenant, actor, id, operationId, now }: CreationContext,
): ContainerRecord => ({
  tenant,
  id,
  revision: 1,
  epoch: 1,
  reservation: null,
  heldDiskMB: 0,
  tombstone: null,
  ranAs: [],
  stateBefore: 'Off',
  process: null,
  actor,
  view: {
    name: request.name ?? generatedName(id),
    spec: specOf(request),
    runtimeType: toRuntimeType(request.runtimeType ?? 'Default'),
    state: request.start === true ? 'Starting' : 'Off',
    hostId: null,
    labels: request.labels ?? {},
    exitCode: null,
    startedAt: null,
    activeOperationId: operationId,
    lastError: null,
    networkPending: false,
    createdAt: now.toISOString(),
    updatedAt: now.toISOString(),
  },
});
