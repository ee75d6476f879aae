import * as z from 'zod/mini';
import { NetworkReportSchema } from './network.ts';
import { IdSchema, NameSchema, RuntimeTypeSchema, TimestampSchema, UpperCaseIdSchema } from './primitives.ts';

/** The process on the host that stands for a utility VM; its user is named after the VM (upper-case id). */
export const WorkerProcessSchema = z.strictObject({
  pid: z.int(),
  name: z.string(),
  userName: z.string(),
});
export type WorkerProcess = z.infer<typeof WorkerProcessSchema>;

/** States of a compute system as HCS names them; only running systems are listed. */
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
  /** The process's id as the host sees it, where the host sees it at all. */
  hostPid: z.optional(z.int()),
  name: z.string(),
  userName: z.string(),
  commandLine: z.string(),
  cpuSeconds: z.number(),
  workingSetBytes: z.number(),
  startedAt: z.nullable(TimestampSchema),
});
export type Process = z.infer<typeof ProcessSchema>;

/** What a container shares with its host: the isolation demonstration, measured. */
export const IsolationReportSchema = z.strictObject({
  runtimeType: RuntimeTypeSchema,
  /** Releases, each as asked on its own side. */
  kernel: z.strictObject({ host: z.string(), container: z.string() }),
  sharedKernel: z.boolean(),
  containerProcesses: z.array(ProcessSchema),
  /** Processes of the container that are in the host's list too. */
  visibleOnHost: z.array(ProcessSchema),
  workerProcess: z.nullable(WorkerProcessSchema),
  /** Null for a container without a network. Absent from hosts of an older version. */
  network: z.optional(z.nullable(NetworkReportSchema)),
  /**
   * Of a Default container, as measured: which ids of the host its users and groups are. Null when they are the host's
   * own, so that root in the container is root of the host. Left out where the container has a kernel of its own.
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
  /** The host is simulated: nothing was measured but its world. */
  simulated: z.optional(z.literal(true)),
});
export type IsolationReport = z.infer<typeof IsolationReportSchema>;
