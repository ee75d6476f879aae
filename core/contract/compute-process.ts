import * as z from 'zod/mini';
import { NetworkReportSchema } from './network.ts';
import { IdSchema, NameSchema, RuntimeTypeSchema, TimestampSchema, UpperCaseIdSchema } from './primitives.ts';

/** The worker process of a utility VM on the host; its user is named after the VM (upper-case id). */
export const WorkerProcessSchema = z.strictObject({
  pid: z.int(),
  name: z.string(),
  userName: z.string(),
});
export type WorkerProcess = z.infer<typeof WorkerProcessSchema>;

/** States of a compute system, as in HCS; only running systems are listed. */
export const ComputeProcessStateSchema = z.enum([
  'Created',
  'Running',
  'Paused',
  'Stopped',
  'SavedAsTemplate',
  'Unknown',
]);

export const ComputeProcessSchema = z.strictObject({
  id: UpperCaseIdSchema,
  containerId: IdSchema,
  name: NameSchema,
  owner: z.literal('VMMS'),
  type: z.literal('Container'),
  runtimeType: RuntimeTypeSchema,
  state: ComputeProcessStateSchema,
  hostId: IdSchema,
  startedAt: TimestampSchema,
  workerProcess: z.nullable(WorkerProcessSchema),
});
export type ComputeProcess = z.infer<typeof ComputeProcessSchema>;

export const ProcessSchema = z.strictObject({
  pid: z.int(),
  /** The process id on the host, if the process is visible there. */
  hostPid: z.optional(z.int()),
  name: z.string(),
  userName: z.string(),
  commandLine: z.string(),
  cpuSeconds: z.number(),
  workingSetBytes: z.number(),
  startedAt: z.nullable(TimestampSchema),
});
export type Process = z.infer<typeof ProcessSchema>;

/** What a container shares with its host: the documented isolation demonstration, measured. */
export const IsolationReportSchema = z.strictObject({
  runtimeType: RuntimeTypeSchema,
  /** Kernel releases, as measured on the host and in the container. */
  kernel: z.strictObject({ host: z.string(), container: z.string() }),
  sharedKernel: z.boolean(),
  containerProcesses: z.array(ProcessSchema),
  /** Processes of the container that are also visible on the host. */
  visibleOnHost: z.array(ProcessSchema),
  workerProcess: z.nullable(WorkerProcessSchema),
  /** Null for a container without a network. Absent for hosts with an older version. */
  network: z.optional(z.nullable(NetworkReportSchema)),
  /**
   * For a Default container, as measured: the host ids of its users and groups. Null if they are not mapped, so that root
   * in the container is root on the host. Omitted for a container with its own kernel.
   */
  userNamespace: z.optional(
    z.nullable(
      z.strictObject({
        /** The host's id of root in the container. */
        firstHostId: z.int(),
        count: z.int(),
      }),
    ),
  ),
  /** The host is simulated: the values come from its model. */
  simulated: z.optional(z.literal(true)),
});
export type IsolationReport = z.infer<typeof IsolationReportSchema>;
