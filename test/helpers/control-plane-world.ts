import { randomUUID } from 'node:crypto';
import type { AgentMessage } from '../../core/contract/agent/messages.ts';
import type { HostFacts } from '../../core/contract/host.ts';
import { DEFAULT_NETWORK } from '../../core/contract/network.ts';
import type { OperationKind } from '../../core/contract/operation.ts';
import type { RuntimeType } from '../../core/contract/primitives.ts';
import { diskFor } from '../../core/domain/capacity.ts';
import { OPERATION_STARTS } from '../../core/domain/container-state.ts';
import { createProblem } from '../../core/domain/problems.ts';
import { createDispatchCommandHandler } from '../../functions/dispatch-command/handler.ts';
import { createHostConnectionHandler } from '../../functions/host-connection/handler.ts';
import { createHostMessageHandler } from '../../functions/host-message/handler.ts';
import { createPlaceContainerHandler } from '../../functions/place-container/handler.ts';
import { createSettleOperationHandler } from '../../functions/settle-operation/handler.ts';
import type { Push } from '../../functions/shared/hosts/push.ts';
import { wakeHost } from '../../functions/shared/hosts/wake-host.ts';
import { createLogger } from '../../functions/shared/observability/logger.ts';
import { createMetrics } from '../../functions/shared/observability/metrics.ts';
import { createSweepHandler } from '../../functions/sweep/handler.ts';
import { addCommand } from '../../store/commands.ts';
import {
  type ContainerRecord,
  createContainer,
  parseContainer,
  replaceContainer,
} from '../../store/containers.ts';
import { addHost, type HostRecord, parseHost } from '../../store/hosts.ts';
import { imageItem, imageOnHostItem } from '../../store/images.ts';
import { keys, listShards } from '../../store/keys.ts';
import {
  addOperation,
  type OperationParameters,
  type OperationRecord,
  parseOperation,
} from '../../store/operations.ts';
import type { Write } from '../../store/table.ts';
import { beginConversion } from '../../workflow/conversion/begin-conversion.ts';
import { beginOperation, supersedeOperation } from '../../workflow/operation/begin-operation.ts';
import { acceptDirectly } from '../../workflow/operation/direct-operation.ts';
import { newOperation } from '../../workflow/operation/new-operation.ts';
import { nextContainer } from '../../workflow/operation/next-records.ts';
import { supersede } from '../../workflow/operation/take-container.ts';
import { type Accepted, planPlacement } from '../../workflow/placement/place-container.ts';
import type { EngineTable } from './dynoxide.ts';
import { FakeHost } from './fake-host.ts';
import { FakeStepFunctions } from './fake-step-functions.ts';
import { AT, imageRecord, TENANT } from './records.ts';
import { testSigning } from './signing.ts';

export const FACTS: HostFacts = {
  os: { family: 'linux', sku: 'debian', version: '12', build: 0 },
  architecture: 'amd64',
  kernel: '6.1.0',
  hypervisor: 'tcg',
  capabilities: { runtimeTypes: ['Default', 'HyperV'], runtimeConversion: 'inPlace' },
  switches: ['NAT'],
  capacity: { memoryMB: 4096, cpus: 8, diskMB: 1_048_576 },
  utilityVmOverheadMB: 64,
};
/** The free disk of such a host with this number of containers of the default size. */
export const freeDisk = (containers: number): number =>
  FACTS.capacity.diskMB - containers * diskFor({ diskMB: DISK_MB });
const DISK_MB = 1024;
const { createdAt: _createdAt, ...image } = imageRecord('mini').view;
export const IMAGE = { ...image, os: 'linux' as const, osBuild: 0 };

export interface CreateOptions {
  readonly start?: boolean;
  readonly runtimeType?: RuntimeType;
  readonly memoryMB?: number;
  readonly diskMB?: number;
  readonly autoRemove?: boolean;
  readonly switchName?: string;
  readonly image?: string;
  /** Whether its execution is started too. @default true */
  readonly began?: boolean;
  /** Whether it is placed in the transaction that creates it, as the API does. @default false */
  readonly placed?: boolean;
  /** Whether no execution runs it if it needs none, as with the API. @default false */
  readonly direct?: boolean;
}

export interface WorldOptions {
  readonly leaseSeconds?: number;
  /** Called with the name of each function that is invoked. */
  readonly onInvoke?: (name: string) => void;
  /** Called for each message to a host. */
  readonly onPush?: () => void;
  /**
   * Processes changes of the table, after each round of workflows and messages. @returns whether there were any.
   * @default starts the executions of operations that are ready
   */
  readonly processChanges?: () => Promise<boolean>;
}

/**
 * The control plane's own functions on a real table, with stateful fakes of Step Functions, hosts and the network. The
 * test decides when the network delivers. Messages of a host can be delivered twice.
 */
export const openWorld = ({ table, consumed }: EngineTable, options: WorldOptions = {}) => {
  const { onInvoke = () => undefined, onPush = () => undefined } = options;
  const counted = <Event, Answer>(name: string, handler: (event: Event) => Promise<Answer>) => {
    return (event: Event): Promise<Answer> => {
      onInvoke(name);
      return handler(event);
    };
  };
  const clock = { now: Date.parse(AT) };
  const tasks = new FakeStepFunctions(() => clock.now);
  const hosts = new Map<string, FakeHost>();
  const connections = new Map<string, FakeHost>();
  const closed: string[] = [];
  const lines: string[] = [];
  const write = (line: string) => lines.push(line);
  const now = () => new Date(clock.now);
  const push: Push = async (connectionId, message) => {
    onPush();
    const host = connections.get(connectionId);
    if (host === undefined) return 'gone';
    // Serialized, as on a real connection.
    host.receive(JSON.parse(JSON.stringify(message)));
    return 'sent';
  };
  const deps = {
    table,
    now,
    newId: () => randomUUID(),
    random: Math.random,
    sleep: async () => undefined,
    ...testSigning,
    tasks,
    startFailure: tasks.startFailure,
    push,
    close: async (connectionId: string) => {
      closed.push(connectionId);
      connections.delete(connectionId);
    },
    problem: createProblem,
    logger: createLogger({ level: 'debug', now, write }),
    metrics: createMetrics({ now, write }),
    heartbeatSeconds: 60,
    leaseSeconds: options.leaseSeconds ?? 150,
  };
  const message = counted('host-message', createHostMessageHandler(deps));
  const connection = counted('host-connection', createHostConnectionHandler(deps));
  const handlers = {
    place: counted('place-container', createPlaceContainerHandler(deps)),
    dispatch: counted('dispatch-command', createDispatchCommandHandler(deps)),
    settle: counted('settle-operation', createSettleOperationHandler(deps)),
  };
  const sweep = createSweepHandler(deps);

  const eventOf = (host: FakeHost, routeKey: string, connectionId: string, body?: AgentMessage) => ({
    requestContext: {
      connectionId,
      connectedAt: clock.now,
      routeKey,
      authorizer: { tenant: TENANT, hostId: host.hostId },
    },
    ...(body && { body: JSON.stringify(body) }),
  });
  const connectionOf = (host: FakeHost): string | undefined =>
    [...connections].find(([, connected]) => connected === host)?.[0];
  const say = async (host: FakeHost, said: AgentMessage): Promise<void> => {
    const connectionId = connectionOf(host);
    if (connectionId !== undefined) await message(eventOf(host, '$default', connectionId, said));
  };
  /** Delivers all messages of hosts, each `times` times, and runs the workflows, until nothing is left to do. */
  const settle = async (times = 1): Promise<void> => {
    for (let round = 0; round < 50; round += 1) {
      await tasks.run(handlers);
      const due = [...connections.values()].flatMap((host) =>
        host.outbox.splice(0).map((said) => ({ host, said })),
      );
      for (const { host, said } of due) for (let time = 0; time < times; time += 1) await say(host, said);
      const changed = await processChanges();
      if (due.length === 0 && !changed) return;
    }
  };

  /** Like the table's stream: starts the executions of operations that are ready. */
  const known = new Set<string>();
  const startReady = async (): Promise<number> => {
    let started = 0;
    const shards = listShards.operationsByTime(TENANT).map((pk) => ({ pk, sk: '' }));
    const pages = await Promise.all(shards.map((key) => table.query({ index: 'gsi1', key, sort: 'any' })));
    for (const item of pages.flatMap(({ items }) => items)) {
      if (known.has(item.pk?.S ?? '')) continue;
      const whole = await table.get({ pk: item.pk?.S ?? '', sk: 'O' });
      if (whole === undefined) continue;
      const operation = parseOperation(whole);
      if (operation.view.state !== 'Pending' || operation.after !== null) continue;
      known.add(item.pk?.S ?? '');
      if (tasks.start(operation) === 'started') started += 1;
    }
    return started;
  };

  const processChanges = options.processChanges ?? (async () => (await startReady()) > 0);

  /** Writes an accepted operation like the API. @returns null if its capacity was not free */
  const accept = async (
    accepted: Accepted,
    isDirect: boolean | undefined,
    write: (accepted: Accepted, remember: readonly Write[]) => Promise<boolean>,
  ): Promise<'with-its-command' | 'for-an-execution' | null> => {
    const direct = isDirect === true ? await acceptDirectly(deps.sign, accepted, now()) : null;
    if (direct === null) return (await write(accepted, [])) ? 'for-an-execution' : null;
    const { operation, command } = direct;
    if (!(await write({ ...accepted, operation }, [addCommand(command)]))) return null;
    await wakeHost(deps, command);
    return 'with-its-command';
  };

  const readContainer = async (id: string): Promise<ContainerRecord | undefined> => {
    const item = await table.get(keys.container(TENANT, id), { consistent: true });
    return item && parseContainer(item);
  };

  return {
    table,
    consumed,
    clock,
    tasks,
    hosts,
    deps,
    handlers,
    closed,
    lines,
    sweep,
    say,
    settle,
    startReady,
    message,
    connection,
    connectionOf,
    eventOf,

    /** Enrolls a host. By default it has the image. */
    addHost: async (over: Partial<HostFacts> = {}, more: { images?: boolean; name?: string } = {}) => {
      const hostId = randomUUID();
      const facts = { ...FACTS, ...over };
      const record: HostRecord = {
        tenant: TENANT,
        id: hostId,
        revision: 1,
        free: facts.capacity,
        publicKey: 'x',
        actor: 'ann',
        view: {
          name: more.name ?? `host-${hosts.size}`,
          facts,
          labels: {},
          schedulable: true,
          state: 'Ready',
          agentVersion: '1.0.0',
        },
      };
      const images = more.images === false ? [] : [IMAGE];
      await table.transact(addHost(record));
      await table.put({
        Item: imageItem({ tenant: TENANT, revision: 1, actor: 'ann', view: { ...IMAGE, createdAt: AT } }),
      });
      for (const one of images) await table.put({ Item: imageOnHostItem(TENANT, one, hostId) });
      const host = new FakeHost({ hostId, facts, images });
      hosts.set(hostId, host);
      return host;
    },

    connect: async (host: FakeHost): Promise<string> => {
      const connectionId = randomUUID();
      for (const [id, connected] of connections) if (connected === host) connections.delete(id);
      await connection(eventOf(host, '$connect', connectionId));
      connections.set(connectionId, host);
      host.hello();
      return connectionId;
    },

    /** Closes the connection of the host, as the WebSocket API reports it. */
    disconnect: async (host: FakeHost): Promise<void> => {
      for (const [id, connected] of connections)
        if (connected === host) {
          connections.delete(id);
          await connection(eventOf(host, '$disconnect', id));
        }
    },

    /** Cuts the network to the host without closing the connection. */
    cut: (host: FakeHost): void => {
      for (const [id, connected] of connections) if (connected === host) connections.delete(id);
    },

    create: async (given: CreateOptions = {}) => {
      const id = randomUUID();
      const operationId = randomUUID();
      const container: ContainerRecord = {
        tenant: TENANT,
        id,
        revision: 1,
        epoch: 1,
        reservation: null,
        heldDiskMB: 0,
        tombstone: null,
        ranAs: [],
        stateBefore: 'Off',
        process: null,
        actor: 'ann',
        view: {
          name: `c-${id.slice(0, 8)}`,
          spec: {
            image: given.image ?? 'mini',
            switchName: given.switchName ?? 'NAT',
            ...DEFAULT_NETWORK,
            resources: { memoryMB: given.memoryMB ?? 128, cpus: 0.5, diskMB: given.diskMB ?? DISK_MB },
            restartPolicy: { name: 'no' },
            ...(given.autoRemove !== undefined && { autoRemove: given.autoRemove }),
          },
          runtimeType: given.runtimeType ?? 'Default',
          state: given.start === false ? 'Off' : 'Starting',
          hostId: null,
          labels: {},
          exitCode: null,
          startedAt: null,
          activeOperationId: operationId,
          lastError: null,
          networkPending: false,
          createdAt: now().toISOString(),
          updatedAt: now().toISOString(),
        },
      };
      const operation = newOperation(container, {
        id: operationId,
        kind: 'create',
        actor: 'ann',
        parameters: { start: given.start !== false },
        now: now(),
      });
      const write = (accepted: Accepted) =>
        accept(accepted, given.direct, (whole, remember) =>
          createContainer(table, { ...whole, remember, token: randomUUID() }),
        );
      const placed = given.placed === true ? await planPlacement(deps, { container, operation }) : null;
      const written = (placed && (await write(placed))) ?? (await write({ container, operation }));
      if (given.began !== false && written === 'for-an-execution') tasks.start(operation);
      return { id, operationId, operation };
    },

    begin: async (
      id: string,
      kind: Exclude<OperationKind, 'create' | 'convert' | 'importImage'>,
      parameters: OperationParameters = {},
      direct = false,
    ) => {
      const before = await readContainer(id);
      if (before === undefined) throw new TypeError(`no container ${id}`);
      const operationId = randomUUID();
      const after = nextContainer(
        before,
        {
          epoch: before.epoch + 1,
          stateBefore: before.view.state,
          view: { state: OPERATION_STARTS[kind].during, activeOperationId: operationId },
        },
        { at: now().toISOString(), actor: 'ann' },
      );
      const operation = newOperation(after, { id: operationId, kind, actor: 'ann', parameters, now: now() });
      const write = (accepted: Accepted) =>
        accept(accepted, direct, ({ container, ...whole }, remember) =>
          beginOperation(table, { before, after: container, ...whole, remember, token: randomUUID() }),
        );
      const placed = kind === 'start' ? await planPlacement(deps, { container: after, operation }) : null;
      const written = (placed && (await write(placed))) ?? (await write({ container: after, operation }));
      if (written === 'for-an-execution') tasks.start(operation);
      return { operationId, operation };
    },

    /** Starts a conversion as PATCH does after its checks. */
    convert: async (
      id: string,
      to: RuntimeType,
      how: { readonly acceptUntrustedDisk?: boolean; readonly failsClosed?: boolean } = {},
    ) => {
      const before = await readContainer(id);
      if (before === undefined) throw new TypeError(`no container ${id}`);
      const accepted = { acceptUntrustedDisk: true, ...how };
      const request = { operationId: randomUUID(), actor: 'ann', to, now: now(), ...accepted };
      const { container, operation } = beginConversion(before, request);
      await table.transact([replaceContainer(before, container), addOperation(operation)]);
      tasks.start(operation);
      return { operationId: operation.id, operation };
    },

    /** Queues a removal as DELETE does while another operation has the container. @returns the removal's id */
    supersede: async (id: string): Promise<string> => {
      const before = await readContainer(id);
      const item = await table.get(keys.operation(TENANT, before?.view.activeOperationId ?? ''));
      if (before === undefined || item === undefined) throw new TypeError(`nothing has ${id}`);
      const request = { operationId: randomUUID(), actor: 'ann', parameters: { force: true }, now: now() };
      const blocking = parseOperation(item);
      const { container, operation, active } = supersede(before, blocking, request);
      await supersedeOperation(table, {
        before,
        after: container,
        operation,
        active: active && { before: blocking, after: active },
        remember: [],
        token: operation.id,
      });
      return operation.id;
    },

    container: readContainer,
    operation: async (id: string): Promise<OperationRecord> => {
      const item = await table.get(keys.operation(TENANT, id), { consistent: true });
      if (item === undefined) throw new TypeError(`no operation ${id}`);
      return parseOperation(item);
    },
    host: async (id: string): Promise<HostRecord> => {
      const item = await table.get(keys.host(TENANT, id), { consistent: true });
      if (item === undefined) throw new TypeError(`no host ${id}`);
      return parseHost(item);
    },
    hostItem: (id: string) => table.get(keys.host(TENANT, id), { consistent: true }),
    computeProcess: async (id: string) => (await readContainer(id))?.process ?? undefined,
    commandsOf: async (hostId: string) =>
      (await table.query({ key: keys.command(TENANT, hostId, '') })).items,
  };
};
export type World = ReturnType<typeof openWorld>;
