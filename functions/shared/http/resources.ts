import type { ComputeProcess } from '../../../core/contract/compute-process.ts';
import type { ConversionRule } from '../../../core/contract/conversion-rule.ts';
import type { Operation, OperationSummary } from '../../../core/contract/operation.ts';
import { cutCommand } from '../../../core/domain/summary.ts';
import type { ComputeProcessRecord } from '../../../store/compute-processes.ts';
import type { ContainerRecord, IndexedContainer } from '../../../store/containers.ts';
import type { ConversionRuleRecord } from '../../../store/conversion-rules.ts';
import type { HostLinkRecord } from '../../../store/host-links.ts';
import type { HostRecord } from '../../../store/hosts.ts';
import type { IndexedOperation, OperationRecord } from '../../../store/operations.ts';

const seconds = (from: string, now: Date): number =>
  Math.max(0, Math.round((now.getTime() - Date.parse(from)) / 1000));

/** A container as lists show it, at a moment: only `uptimeSeconds` depends on the clock. */
export const toContainerSummary = (record: IndexedContainer, now: Date) => {
  const { spec, ...view } = record.view;
  return {
    id: record.id,
    name: view.name,
    image: spec.image,
    runtimeType: view.runtimeType,
    state: view.state,
    hostId: view.hostId,
    switchName: spec.switchName,
    network: spec.network,
    networkPending: view.networkPending,
    command: cutCommand(spec.command) ?? null,
    workingDir: spec.workingDir ?? null,
    user: spec.user ?? null,
    tty: spec.tty ?? false,
    stdin: spec.stdin ?? true,
    labels: view.labels,
    resources: spec.resources,
    ports: spec.ports ?? [],
    restartPolicy: spec.restartPolicy,
    autoRemove: spec.autoRemove ?? false,
    exitCode: view.exitCode,
    startedAt: view.startedAt,
    uptimeSeconds: view.state === 'Running' && view.startedAt !== null ? seconds(view.startedAt, now) : 0,
    activeOperationId: view.activeOperationId,
    lastError: view.lastError,
    revision: record.revision,
    createdAt: view.createdAt,
    updatedAt: view.updatedAt,
  };
};

/** A container as the API shows it, at a moment. */
export const toContainer = (record: ContainerRecord, now: Date) => ({
  ...toContainerSummary(record, now),
  lastRun: record.lastRun ?? null,
  entrypoint: record.view.spec.entrypoint ?? null,
  command: record.view.spec.command ?? null,
  env: record.view.spec.env ?? {},
});

/** An operation in a list. */
export const toOperationSummary = ({ id, view: indexed }: IndexedOperation): OperationSummary => {
  const { imageName, conversion, ...view } = indexed;
  return {
    id,
    ...view,
    ...(imageName === null ? {} : { imageName }),
    ...(conversion ? { conversion } : {}),
  };
};

/** An operation as the API shows it. */
export const toOperation = (record: OperationRecord): Operation => {
  const { steps, ...view } = record.view;
  return { ...toOperationSummary({ ...record, view }), steps: [...steps] };
};

/** A host as the API shows it. It is `Unknown` as soon as its lease has expired, even before the sweeper records that. */
export const toHost = (
  record: HostRecord,
  link: HostLinkRecord | undefined,
  now: Date,
  leaseSeconds: number,
) => {
  const { facts, ...view } = record.view;
  // 0: enrolled, and its agent has not connected yet.
  const lastSeenAt = link?.lastSeenAt || null;
  const silent = lastSeenAt === null || now.getTime() - lastSeenAt > leaseSeconds * 1000;
  return {
    id: record.id,
    name: view.name,
    ...facts,
    allocated: {
      memoryMB: facts.capacity.memoryMB - record.free.memoryMB,
      cpus: Math.round((facts.capacity.cpus - record.free.cpus) * 1000) / 1000,
      diskMB: facts.capacity.diskMB - record.free.diskMB,
    },
    schedulable: view.schedulable,
    state: silent && view.state !== 'Lost' ? ('Unknown' as const) : view.state,
    lastSeenAt: lastSeenAt === null ? null : new Date(lastSeenAt).toISOString(),
    agentVersion: view.agentVersion,
    labels: view.labels,
    revision: record.revision,
  };
};

/** A compute process as the API shows it (Get-ComputeProcess: upper-case id, owner VMMS, type Container). */
export const toComputeProcess = (record: ComputeProcessRecord): ComputeProcess => ({
  id: record.containerId.toUpperCase(),
  containerId: record.containerId,
  name: record.view.name,
  owner: 'VMMS',
  type: 'Container',
  runtimeType: record.view.runtimeType,
  state: record.view.state,
  hostId: record.view.hostId,
  startedAt: record.view.startedAt,
  workerProcess: record.view.workerProcess,
});

/** A rule as the API shows it. */
export const toRule = ({ tenant: _, id: __, actor: ___, ...shown }: ConversionRuleRecord): ConversionRule =>
  shown;
