import * as z from 'zod/mini';
import { IsolationReportSchema, ProcessSchema, WorkerProcessSchema } from '../compute-process.ts';
import { ContainerSpecSchema } from '../container.ts';
import { ImageFactsSchema } from '../image.ts';
import { IsolationVerificationSchema } from '../isolation-verification.ts';
import { ResolvedNetworkPolicySchema } from '../network.ts';
import { OperationStepSchema } from '../operation.ts';
import {
  cutTo,
  IdSchema,
  ImageNameSchema,
  NameSchema,
  RuntimeTypeSchema,
  TimestampSchema,
} from '../primitives.ts';
import { ProblemCodeSchema } from '../problem.ts';
import {
  ExecRequestSchema,
  LogPageSchema,
  SessionEndReasonSchema,
  SessionRequestSchema,
} from '../session.ts';

/**
 * The closed set of things that a host can be asked to do. There is no "run this script": arguments are
 * opaque ids, validated values and argv arrays. An agent refuses a verb that it does not know by name.
 */

/** What a host must know of a container to drive it. */
export const AssignedContainerSchema = z.strictObject({
  id: IdSchema,
  name: NameSchema,
  runtimeType: RuntimeTypeSchema,
  spec: ContainerSpecSchema,
});
export type AssignedContainer = z.infer<typeof AssignedContainerSchema>;

/** Make the writable layer, so that the container exists on the host: it is `Off` afterwards. */
const PrepareContainer = z.strictObject({
  verb: z.literal('prepareContainer'),
  container: AssignedContainerSchema,
});
/** Bring up the container's own VM as far as the guest's agent answering, with nothing of the container run yet. */
const ProvisionUtilityVm = z.strictObject({
  verb: z.literal('provisionUtilityVm'),
  container: AssignedContainerSchema,
});
/** Start the main process; prepares what has not been. Starting what runs changes nothing. */
const StartContainer = z.strictObject({
  verb: z.literal('startContainer'),
  container: AssignedContainerSchema,
});
/** End the main process: ask, wait, then force; a timeout of 0 forces at once. The writable layer stays. */
const StopContainer = z.strictObject({ verb: z.literal('stopContainer'), timeoutSeconds: z.int() });
const RestartContainer = z.strictObject({
  verb: z.literal('restartContainer'),
  container: AssignedContainerSchema,
  timeoutSeconds: z.int(),
});
/** Everything of the container goes, its files included. */
const RemoveContainer = z.strictObject({ verb: z.literal('removeContainer') });
/**
 * Runtime conversion, in one command, so that a container is never left down for want of the next: `container` has the
 * new type. What runs is stopped, started again on the same layer and verified running. Where that fails:
 * - `restore`: the host by itself goes back to what there was, under the type `from`; but never to its own kernel once
 *   the container's code has run in a VM. Then the container ends `HyperV`, and is off unless it runs in its VM.
 * - `stop`: the container ends off, as the new type where that could be set.
 */
const ConvertContainer = z.strictObject({
  verb: z.literal('convertContainer'),
  container: AssignedContainerSchema,
  from: RuntimeTypeSchema,
  timeoutSeconds: z.int(),
  /** Default: `restore`. */
  onFailure: z.optional(z.enum(['restore', 'stop'])),
  /** The tenant lets the host's kernel have a disk that code in a VM has written. Default: false. */
  acceptUntrustedDisk: z.optional(z.boolean()),
});
/**
 * Undo a half-done operation: back to what the container was, whatever has been reached. Once its code has run in a VM it
 * does not go back to the host's kernel: it ends `HyperV`, and is off unless it runs in its VM.
 */
const RestoreContainer = z.strictObject({
  verb: z.literal('restoreContainer'),
  to: z.enum(['Absent', 'Off', 'Running']),
  container: AssignedContainerSchema,
});
/**
 * Put a network policy in force, at once if the container runs, and for every later start. Commands come in any order:
 * a revision that is not larger than the newest known one changes nothing. Not a step of an operation: it raises no epoch
 * and waits for none.
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
/** Start the process, or join the main one; its frames follow over the link (`core/contract/session.ts`). */
const OpenSession = z.strictObject({
  verb: z.literal('openSession'),
  ...SessionRequestSchema.shape,
  sessionId: IdSchema,
  /** Without a frame of either side for so long it ends. */
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
  /** `operationId:step:epoch` for a step of a workflow, an id of its own for a query: the idempotency key. */
  id: z.string(),
  hostId: IdSchema,
  containerId: z.nullable(IdSchema),
  /** Epoch of the container when the command was given; a host never acts on one older than the newest it has seen. */
  epoch: z.int(),
  /** How long after receipt, by the host's own clock, the command may still be begun, in seconds. */
  ttlSeconds: z.int(),
  arguments: CommandArgumentsSchema,
});
export type Command = z.infer<typeof CommandSchema>;

/** What really is on a host, of one container. */
export const ObservedContainerSchema = z.strictObject({
  containerId: IdSchema,
  /** Of the last command that the host applied to it. */
  epoch: z.int(),
  phase: z.enum(['Absent', 'Off', 'Running']),
  runtimeType: RuntimeTypeSchema,
  startedAt: z.nullable(TimestampSchema),
  exitCode: z.nullable(z.int()),
  /** Why it is not running, in words, where the host knows. */
  exitReason: z.nullable(cutTo(512)),
  restartCount: z.int(),
  workerProcess: z.nullable(WorkerProcessSchema),
  /**
   * Rises with every observation that the host makes, across containers, messages and restarts of its agent:
   * of two reports on a container the one with the larger number is the newer, however they arrive.
   */
  sequence: z.optional(z.int()),
});
export type ObservedContainer = z.infer<typeof ObservedContainerSchema>;

const CommandErrorSchema = z.strictObject({
  code: ProblemCodeSchema,
  message: z.string().check(z.maxLength(4096)),
  /** The step of the plan that failed. */
  step: z.optional(cutTo(128)),
  suggestion: z.optional(cutTo(1024)),
});

const result = { commandId: z.string(), steps: z.array(OperationStepSchema) };

const base64 = z.string();
/** What an `exec` came to; output in base64. */
export const ExecOutcomeSchema = z.strictObject({
  exitCode: z.int(),
  stdout: base64,
  stderr: base64,
  truncated: z.boolean(),
  timedOut: z.boolean(),
});

/** The answer to a command; kept by the host, and sent again until it is acknowledged. */
export const CommandResultSchema = z.discriminatedUnion('status', [
  z.strictObject({
    status: z.literal('succeeded'),
    ...result,
    observed: z.nullable(ObservedContainerSchema),
    processes: z.optional(z.array(ProcessSchema)),
    /** How many processes are missing in the list, because the message would not have fitted. */
    processesOmitted: z.optional(z.int()),
    image: z.optional(ImageFactsSchema),
    exec: z.optional(ExecOutcomeSchema),
    log: z.optional(LogPageSchema),
    isolation: z.optional(IsolationReportSchema),
    verification: z.optional(IsolationVerificationSchema),
    /** `convertContainer`: between the old main process's end and the new one verified running, in milliseconds. */
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
