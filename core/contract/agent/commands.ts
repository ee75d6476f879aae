import * as z from 'zod/mini';
import { IsolationReportSchema, ProcessSchema, WorkerProcessSchema } from '../compute-process.ts';
import { ContainerSpecSchema, RunSchema } from '../container.ts';
import { ImageFactsSchema } from '../image.ts';
import { IsolationVerificationSchema } from '../isolation-verification.ts';
import { ResolvedNetworkPolicySchema } from '../network.ts';
import { OperationStepSchema } from '../operation.ts';
import {
  IdSchema,
  ImageNameSchema,
  NameSchema,
  RuntimeTypeSchema,
  TimestampSchema,
  truncatedTo,
} from '../primitives.ts';
import { ProblemCodeSchema } from '../problem.ts';
import {
  ExecRequestSchema,
  LogPageSchema,
  SessionEndReasonSchema,
  SessionRequestSchema,
} from '../session.ts';

/**
 * The closed set of commands. No command runs a script: arguments are opaque ids, validated values and argv arrays.
 * An agent refuses an unknown verb by name.
 */

/** The description of a container for its host. */
export const AssignedContainerSchema = z.strictObject({
  id: IdSchema,
  name: NameSchema,
  runtimeType: RuntimeTypeSchema,
  spec: ContainerSpecSchema,
});
export type AssignedContainer = z.infer<typeof AssignedContainerSchema>;

/** Create the writable layer, so that the container exists on the host in state `Off`. */
const PrepareContainer = z.strictObject({
  verb: z.literal('prepareContainer'),
  container: AssignedContainerSchema,
});
/** Start the container's VM until the guest agent answers, without running any code of the container. */
const ProvisionUtilityVm = z.strictObject({
  verb: z.literal('provisionUtilityVm'),
  container: AssignedContainerSchema,
});
/** Start the main process, after any missing preparation. No effect if it runs. */
const StartContainer = z.strictObject({
  verb: z.literal('startContainer'),
  container: AssignedContainerSchema,
});
/** Stop the main process: send the stop signal, wait, then send SIGKILL. A timeout of 0 kills it immediately. The writable layer is kept. */
const StopContainer = z.strictObject({ verb: z.literal('stopContainer'), timeoutSeconds: z.int() });
const RestartContainer = z.strictObject({
  verb: z.literal('restartContainer'),
  container: AssignedContainerSchema,
  timeoutSeconds: z.int(),
});
/** Remove the container with its files. */
const RemoveContainer = z.strictObject({ verb: z.literal('removeContainer') });
/**
 * Convert the runtime type. This is a single command, so that a container does not stay stopped because a second command is
 * lost. `container` has the new type. A running container is stopped, started again on the same layer and verified. On a failure:
 * - `restore`: the host restores the earlier state with the type `from`, but never on its own kernel once the container's
 *   code has run in a VM. Then the container ends as `HyperV`, and is off unless it runs in its VM.
 * - `stop`: the container ends off, with the new type if that could be set.
 */
const ConvertContainer = z.strictObject({
  verb: z.literal('convertContainer'),
  container: AssignedContainerSchema,
  from: RuntimeTypeSchema,
  timeoutSeconds: z.int(),
  /** Default: `restore`. */
  onFailure: z.optional(z.enum(['restore', 'stop'])),
  /** The tenant accepts that the host's kernel mounts a disk that code in a VM has written. Default: false. */
  acceptUntrustedDisk: z.optional(z.boolean()),
});
/**
 * Undo an unfinished operation: restore the container's earlier state. Once its code has run in a VM it does not return to
 * the host's kernel: it ends as `HyperV`, and is off unless it runs in its VM.
 */
const RestoreContainer = z.strictObject({
  verb: z.literal('restoreContainer'),
  to: z.enum(['Absent', 'Off', 'Running']),
  container: AssignedContainerSchema,
});
/**
 * Apply a network policy: immediately if the container runs, and at every later start. Commands can arrive in any order: only
 * a revision larger than the newest known one has an effect. Not a step of an operation: the epoch is neither checked nor
 * raised.
 */
const SetNetworkPolicy = z.strictObject({
  verb: z.literal('setNetworkPolicy'),
  network: ResolvedNetworkPolicySchema,
  revision: z.int(),
});
const ListProcesses = z.strictObject({ verb: z.literal('listProcesses') });
const ListHostProcesses = z.strictObject({ verb: z.literal('listHostProcesses') });
const ReportIsolation = z.strictObject({ verb: z.literal('reportIsolation') });
/** Run the fixed set of probes inside a running container. */
const VerifyIsolation = z.strictObject({ verb: z.literal('verifyIsolation') });
const Exec = z.strictObject({ verb: z.literal('exec'), ...ExecRequestSchema.shape, timeoutSeconds: z.int() });
/** Start the process, or attach to the main process; frames follow over the connection (`core/contract/session.ts`). */
const OpenSession = z.strictObject({
  verb: z.literal('openSession'),
  ...SessionRequestSchema.shape,
  sessionId: IdSchema,
  /** The session ends after this time without a frame from either side. */
  idleSeconds: z.int(),
  totalSeconds: z.int(),
});
const CloseSession = z.strictObject({
  verb: z.literal('closeSession'),
  sessionId: IdSchema,
  reason: SessionEndReasonSchema,
});
const ReadLog = z.strictObject({
  verb: z.literal('readLog'),
  tail: z.optional(z.int()),
  since: z.optional(TimestampSchema),
  cursor: z.optional(z.string()),
});
const ImportImage = z.strictObject({
  verb: z.literal('importImage'),
  name: ImageNameSchema,
  source: z.union([z.strictObject({ path: z.string() }), z.strictObject({ reference: z.string() })]),
  digest: z.optional(z.string()),
});
const RemoveImage = z.strictObject({ verb: z.literal('removeImage'), name: ImageNameSchema });

export const CommandArgumentsSchema = z.discriminatedUnion('verb', [
  PrepareContainer,
  ProvisionUtilityVm,
  StartContainer,
  StopContainer,
  RestartContainer,
  RemoveContainer,
  ConvertContainer,
  RestoreContainer,
  SetNetworkPolicy,
  ListProcesses,
  ListHostProcesses,
  ReportIsolation,
  VerifyIsolation,
  Exec,
  OpenSession,
  CloseSession,
  ReadLog,
  ImportImage,
  RemoveImage,
]);
export type CommandArguments = z.infer<typeof CommandArgumentsSchema>;

export const CommandSchema = z.strictObject({
  /** The idempotency key: `operationId:step:epoch` for a step of a workflow, a unique id for a query. */
  id: z.string(),
  hostId: IdSchema,
  containerId: z.nullable(IdSchema),
  /** Epoch of the container when the command was issued. A host ignores commands with an older epoch than the newest it received. */
  epoch: z.int(),
  /** The command must start within this time after it was received, by the host's clock, in seconds. */
  ttlSeconds: z.int(),
  arguments: CommandArgumentsSchema,
});
export type Command = z.infer<typeof CommandSchema>;

/** The actual state of a container on its host. */
export const ObservedContainerSchema = z.strictObject({
  containerId: IdSchema,
  /** Epoch of the last command that the host applied to it. */
  epoch: z.int(),
  phase: z.enum(['Absent', 'Off', 'Running']),
  runtimeType: RuntimeTypeSchema,
  startedAt: z.nullable(TimestampSchema),
  exitCode: z.nullable(z.int()),
  /** Why it is not running, as text, if known. */
  exitReason: z.nullable(truncatedTo(512)),
  restartCount: z.int(),
  workerProcess: z.nullable(WorkerProcessSchema),
  /**
   * Increases with every observation of the host, across containers, messages and restarts of its agent. Of two reports on
   * a container the one with the larger number is newer, in any order of arrival.
   */
  sequence: z.optional(z.int()),
  /** Details of the newest run. Agents of earlier versions do not report them. */
  run: z.optional(z.omit(RunSchema, { startedAt: true, restartCount: true })),
});
export type ObservedContainer = z.infer<typeof ObservedContainerSchema>;

const CommandErrorSchema = z.strictObject({
  code: ProblemCodeSchema,
  message: z.string().check(z.maxLength(4096)),
  /** The step of the plan that failed. */
  step: z.optional(truncatedTo(128)),
  suggestion: z.optional(truncatedTo(1024)),
});

const result = { commandId: z.string(), steps: z.array(OperationStepSchema) };

const base64 = z.string();
/** The result of an `exec`; output in base64. */
export const ExecOutcomeSchema = z.strictObject({
  exitCode: z.int(),
  stdout: base64,
  stderr: base64,
  truncated: z.boolean(),
  timedOut: z.boolean(),
});

/** The result of a command. The host stores it and repeats it until it is acknowledged. */
export const CommandResultSchema = z.discriminatedUnion('status', [
  z.strictObject({
    status: z.literal('succeeded'),
    ...result,
    observed: z.nullable(ObservedContainerSchema),
    processes: z.optional(z.array(ProcessSchema)),
    /** Number of processes that did not fit into the message. */
    processesOmitted: z.optional(z.int()),
    image: z.optional(ImageFactsSchema),
    exec: z.optional(ExecOutcomeSchema),
    log: z.optional(LogPageSchema),
    isolation: z.optional(IsolationReportSchema),
    verification: z.optional(IsolationVerificationSchema),
    /** `convertContainer`: from the end of the old main process until the new one was verified running, in milliseconds. */
    downtimeMs: z.optional(z.nullable(z.number())),
  }),
  z.strictObject({
    status: z.literal('failed'),
    ...result,
    observed: z.nullable(ObservedContainerSchema),
    error: CommandErrorSchema,
  }),
]);
export type CommandResult = z.infer<typeof CommandResultSchema>;
