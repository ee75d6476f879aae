import * as z from 'zod/mini';
import type { CommandResult } from '../core/contract/agent/commands.ts';
import { ProbeOutcomeSchema } from '../core/contract/isolation-verification.ts';
import { RuntimeTypeSchema } from '../core/contract/primitives.ts';
import { ProblemCodeSchema } from '../core/contract/problem.ts';
import { StoredNetworkPolicySchema, StoredObservedSchema, StoredWorkerProcessSchema } from './containers.ts';
import { STORED_IMAGE_FACTS } from './images.ts';
import { orNull } from './item-format.ts';
import { StoredStepSchema } from './operations.ts';

/** A host's result in the item of the command, with null where the contract has null. */

const ProcessesSchema = z.array(
  z.object({
    pid: z.number(),
    hostPid: z.optional(z.number()),
    name: z.string(),
    userName: z.string(),
    commandLine: z.string(),
    cpuSeconds: z.number(),
    workingSetBytes: z.number(),
    startedAt: orNull(z.string()),
  }),
);

const ExecSchema = z.object({
  exitCode: z.number(),
  stdout: z.string(),
  stderr: z.string(),
  truncated: z.boolean(),
  timedOut: z.boolean(),
});

const LogSchema = z.object({
  items: z.array(
    z.object({
      at: z.string(),
      stream: z.enum(['stdout', 'stderr']),
      text: z.string(),
      data: z.optional(z.string()),
      partial: z.optional(z.literal(true)),
    }),
  ),
  truncated: z.boolean(),
  more: z.boolean(),
  nextCursor: z.string(),
});

const IsolationSchema = z.object({
  runtimeType: RuntimeTypeSchema,
  kernel: z.object({ host: z.string(), container: z.string() }),
  sharedKernel: z.boolean(),
  containerProcesses: ProcessesSchema,
  visibleOnHost: ProcessesSchema,
  workerProcess: orNull(StoredWorkerProcessSchema),
  network: z.optional(
    z.nullable(
      z.object({
        policy: StoredNetworkPolicySchema,
        ceiling: z.array(z.string()),
        dropped: z.object({ packets: z.number() }),
      }),
    ),
  ),
  userNamespace: z.optional(z.nullable(z.object({ firstHostId: z.number(), count: z.number() }))),
  simulated: z.optional(z.literal(true)),
});

const VerificationSchema = z.object({
  runtimeType: RuntimeTypeSchema,
  verifiedAt: z.string(),
  asExpected: z.boolean(),
  probes: z.array(
    z.object({
      name: z.string(),
      tried: z.string(),
      outcome: ProbeOutcomeSchema,
      expected: z.boolean(),
      detail: z.string(),
    }),
  ),
  simulated: z.optional(z.literal(true)),
});

const result = {
  commandId: z.string(),
  steps: z.array(StoredStepSchema),
  observed: orNull(StoredObservedSchema),
};

export const StoredResultSchema: z.ZodMiniType<CommandResult> = z.discriminatedUnion('status', [
  z.object({
    status: z.literal('succeeded'),
    ...result,
    processes: z.optional(ProcessesSchema),
    processesOmitted: z.optional(z.number()),
    image: z.optional(z.object(STORED_IMAGE_FACTS)),
    exec: z.optional(ExecSchema),
    log: z.optional(LogSchema),
    isolation: z.optional(IsolationSchema),
    verification: z.optional(VerificationSchema),
    downtimeMs: z.optional(z.number()),
  }),
  z.object({
    status: z.literal('failed'),
    ...result,
    error: z.object({
      code: ProblemCodeSchema,
      message: z.string(),
      step: z.optional(z.string()),
      suggestion: z.optional(z.string()),
    }),
  }),
]);
