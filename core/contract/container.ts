import * as z from 'zod/mini';
import { DEFAULT_NETWORK_POLICY, NetworkPolicySchema, ResolvedNetworkPolicySchema } from './network.ts';
import {
  CommandSchema,
  ContainerPathSchema,
  EntrypointSchema,
  EnvironmentSchema,
  GivenResourcesSchema,
  IdSchema,
  ImageNameSchema,
  LabelsSchema,
  NameSchema,
  PlacementRequestSchema,
  PortsInputSchema,
  PortsSchema,
  PublishedPortSchema,
  ResourcesSchema,
  RestartPolicySchema,
  RuntimeTypeInputSchema,
  RuntimeTypeSchema,
  SwitchNameSchema,
  TimestampSchema,
  UserInputSchema,
  UserNameSchema,
} from './primitives.ts';
import { ProblemSchema } from './problem.ts';

export const CONTAINER_STATES = [
  'Off',
  'Starting',
  'Running',
  'Stopping',
  'Converting',
  'Removing',
  'Failed',
  'Unknown',
] as const;
export const ContainerStateSchema = z.enum(CONTAINER_STATES);
export type ContainerState = z.infer<typeof ContainerStateSchema>;

const ReservationSchema = z.strictObject({ memoryMB: z.int(), cpus: z.number() });

export const CreateContainerRequestSchema = z.strictObject({
  name: z.optional(NameSchema),
  image: ImageNameSchema,
  runtimeType: z.optional(RuntimeTypeInputSchema),
  switchName: z.optional(SwitchNameSchema),
  network: z.optional(NetworkPolicySchema),
  /** Replaces the entrypoint of the image. The command of the image is then not used. */
  entrypoint: z.optional(EntrypointSchema),
  /** The arguments of the entrypoint, or the program if there is none. @default the command of the image */
  command: z.optional(CommandSchema),
  env: z.optional(EnvironmentSchema),
  workingDir: z.optional(ContainerPathSchema),
  user: z.optional(UserInputSchema),
  tty: z.optional(z.boolean()),
  /** Whether clients can send input to the main process. Otherwise its input is at its end, unless it has a terminal. @default true */
  stdin: z.optional(z.boolean()),
  labels: z.optional(LabelsSchema),
  resources: z.optional(ResourcesSchema),
  /** Without a `hostPort`, or with 0, the host chooses one at each start. */
  ports: z.optional(PortsInputSchema),
  restartPolicy: z.optional(RestartPolicySchema),
  placement: z.optional(PlacementRequestSchema),
  start: z.optional(z.boolean()),
  autoRemove: z.optional(z.boolean()),
});
export type CreateContainerRequest = z.infer<typeof CreateContainerRequestSchema>;

export const UpdateContainerRequestSchema = z.strictObject({
  runtimeType: z.optional(RuntimeTypeInputSchema),
  strategy: z.optional(z.enum(['inPlace', 'recreate'])),
  acceptUntrustedDisk: z.optional(z.boolean()),
  /** Replaces the whole policy, immediately and without a restart. */
  network: z.optional(NetworkPolicySchema),
  labels: z.optional(LabelsSchema),
  restartPolicy: z.optional(RestartPolicySchema),
});
export type UpdateContainerRequest = z.infer<typeof UpdateContainerRequestSchema>;

/** The preview of a conversion in a dry run. */
export const ConversionPreviewSchema = z.strictObject({
  from: RuntimeTypeSchema,
  to: RuntimeTypeSchema,
  hostId: z.nullable(IdSchema),
  hostOs: z.string(),
  /** Whether the container would be stopped and started. */
  restarts: z.boolean(),
  /** Its reservation now, during the conversion, and after it; null: none. */
  reservation: z.strictObject({
    now: z.nullable(ReservationSchema),
    during: z.nullable(ReservationSchema),
    after: z.nullable(ReservationSchema),
  }),
  /** Whether it fits now; otherwise it would wait for capacity until its deadline. */
  fits: z.boolean(),
  /** From the latest conversions on that host; null if there are none, or if nothing is stopped. */
  expectedDowntime: z.nullable(z.strictObject({ medianMs: z.number(), conversions: z.int() })),
  rollback: z.strictObject({
    /**
     * State after a failed conversion. `asItWas`: the earlier state. `asItWasOrInVm`: the earlier state or, once code has run
     * in the VM, HyperV and either running in that VM or off.
     */
    onFailure: z.enum(['asItWas', 'asItWasOrInVm']),
    /** How to convert it back later. */
    later: z.enum(['convert', 'acceptUntrustedDisk']),
  }),
});
export type ConversionPreview = z.infer<typeof ConversionPreviewSchema>;

/** Time between the stop signal and SIGKILL, in seconds. The default is that of the docker CLI. */
export const DEFAULT_STOP_SECONDS = 10;
export const MAX_STOP_SECONDS = 600;

export const StopContainerRequestSchema = z.strictObject({
  /** Seconds between the stop signal and SIGKILL. */
  timeoutSeconds: z.optional(z.int().check(z.minimum(0), z.maximum(MAX_STOP_SECONDS))),
});

/** The specification of a container, which is also sent to its agent. */
export const ContainerSpecSchema = z.strictObject({
  image: ImageNameSchema,
  switchName: SwitchNameSchema,
  network: z._default(ResolvedNetworkPolicySchema, DEFAULT_NETWORK_POLICY),
  /** The container's revision in which `network` was set: of two policies the one with the larger number is newer. */
  networkRevision: z._default(z.int(), 0),
  entrypoint: z.optional(EntrypointSchema),
  command: z.optional(CommandSchema),
  env: z.optional(EnvironmentSchema),
  workingDir: z.optional(ContainerPathSchema),
  user: z.optional(UserNameSchema),
  tty: z.optional(z.boolean()),
  stdin: z.optional(z.boolean()),
  resources: GivenResourcesSchema,
  ports: z.optional(PortsSchema),
  restartPolicy: RestartPolicySchema,
  placement: z.optional(PlacementRequestSchema),
  autoRemove: z.optional(z.boolean()),
});
export type ContainerSpec = z.infer<typeof ContainerSpecSchema>;

/** The newest run of the main process, as its host reports it and by the host's clock. */
export const RunSchema = z.strictObject({
  startedAt: TimestampSchema,
  /** Null while it runs. */
  endedAt: z.nullable(TimestampSchema),
  /** Restarts by the restart policy since the last start by a request. */
  restartCount: z.int(),
  /** Whether the restart policy will start it again. */
  restarting: z.boolean(),
  /** Whether it was killed because the container reached its memory limit. */
  outOfMemory: z.boolean(),
  /** The published ports while it runs. */
  ports: z.array(PublishedPortSchema),
  /** Its IPv4 address on the switch, while it runs with a network. */
  address: z.optional(z.string().check(z.maxLength(45))),
});
export type Run = z.infer<typeof RunSchema>;

export const ContainerSchema = z.strictObject({
  id: IdSchema,
  name: NameSchema,
  image: ImageNameSchema,
  runtimeType: RuntimeTypeSchema,
  state: ContainerStateSchema,
  hostId: z.nullable(IdSchema),
  switchName: SwitchNameSchema,
  network: ResolvedNetworkPolicySchema,
  /** Whether the host has not yet confirmed that `network` is in force. */
  networkPending: z.boolean(),
  entrypoint: z.nullable(EntrypointSchema),
  command: z.nullable(CommandSchema),
  env: EnvironmentSchema,
  workingDir: z.nullable(ContainerPathSchema),
  user: z.nullable(UserNameSchema),
  tty: z.boolean(),
  stdin: z.boolean(),
  labels: LabelsSchema,
  resources: z.strictObject({ memoryMB: z.int(), cpus: z.number(), diskMB: z.int() }),
  ports: PortsSchema,
  restartPolicy: RestartPolicySchema,
  autoRemove: z.boolean(),
  exitCode: z.nullable(z.int()),
  startedAt: z.nullable(TimestampSchema),
  uptimeSeconds: z.number(),
  /** Null before the first start, and if the agent of the host is of an earlier version. */
  lastRun: z.nullable(RunSchema),
  activeOperationId: z.nullable(IdSchema),
  lastError: z.nullable(ProblemSchema),
  revision: z.int(),
  createdAt: TimestampSchema,
  updatedAt: TimestampSchema,
});
export type Container = z.infer<typeof ContainerSchema>;

/** A container in a list: without `env`, `entrypoint` and `lastRun`. A command of more than 256 characters is cut, and ends with `…`. */
export const ContainerSummarySchema = z.omit(ContainerSchema, {
  env: true,
  entrypoint: true,
  lastRun: true,
});
export type ContainerSummary = z.infer<typeof ContainerSummarySchema>;
