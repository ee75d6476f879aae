import * as z from 'zod/mini';
import { CidrSchema } from './network.ts';
import {
  IdSchema,
  LabelsSchema,
  LineSchema,
  NameSchema,
  PublicKeySchema,
  RuntimeTypeSchema,
  SwitchNameSchema,
  TimestampSchema,
} from './primitives.ts';

export const HOST_STATES = ['Ready', 'Draining', 'Unknown', 'Lost'] as const;
export const HostStateSchema = z.enum(HOST_STATES);
export type HostState = z.infer<typeof HostStateSchema>;

const OS_FAMILIES = ['windows', 'linux'] as const;
export const OsFamilySchema = z.enum(OS_FAMILIES);
export type OsFamily = z.infer<typeof OsFamilySchema>;

export const HostOsSchema = z.strictObject({
  family: OsFamilySchema,
  /** e.g. `NanoServer`, `ServerCore`, `debian`. */
  sku: LineSchema,
  version: LineSchema,
  /** Windows build number, e.g. 14393; 0 if the family has none. */
  build: z.int(),
});
export type HostOs = z.infer<typeof HostOsSchema>;

export const ArchitectureSchema = z.enum(['amd64', 'arm64']);

const HostCapabilitiesSchema = z.strictObject({
  runtimeTypes: z.array(RuntimeTypeSchema),
  runtimeConversion: z.enum(['inPlace', 'recreate', 'none']),
});

/** 64 TiB of memory and 1 EiB of disk, in MiB: more than any host has. */
const MAX_HOST_MEMORY_MB = 67_108_864;
const MAX_HOST_DISK_MB = 1_099_511_627_776;

export const CapacitySchema = z.strictObject({
  memoryMB: z.int().check(z.maximum(MAX_HOST_MEMORY_MB)),
  cpus: z.number().check(z.maximum(65_536)),
  /** MiB of disk for containers; 0 if the agent is too old to report it. */
  diskMB: z._default(z.int().check(z.maximum(MAX_HOST_DISK_MB)), 0),
});
export type Capacity = z.infer<typeof CapacitySchema>;

/** What an agent reports about its host at each connection. */
export const HostFactsSchema = z.strictObject({
  os: HostOsSchema,
  architecture: ArchitectureSchema,
  kernel: LineSchema,
  hypervisor: z.enum(['hyperv', 'kvm', 'tcg', 'none', 'simulated']),
  capabilities: HostCapabilitiesSchema,
  switches: z.array(SwitchNameSchema),
  /** Total capacity for reservations; a host can offer more CPUs than it has cores. */
  capacity: CapacitySchema,
  /** Reserved for each utility VM in addition to the container's memory, in MiB. */
  utilityVmOverheadMB: z.int().check(z.minimum(0), z.maximum(4_194_304)),
  /** Private ranges that network policies can open (`--allow-private`). */
  networkCeiling: z.optional(z.array(CidrSchema).check(z.maxLength(64))),
});
export type HostFacts = z.infer<typeof HostFactsSchema>;

export const HostSchema = z.strictObject({
  id: IdSchema,
  name: NameSchema,
  ...HostFactsSchema.shape,
  allocated: CapacitySchema,
  schedulable: z.boolean(),
  state: HostStateSchema,
  lastSeenAt: z.nullable(TimestampSchema),
  agentVersion: LineSchema,
  labels: LabelsSchema,
  revision: z.int(),
});
export type Host = z.infer<typeof HostSchema>;

export const UpdateHostRequestSchema = z.strictObject({
  schedulable: z.optional(z.boolean()),
  labels: z.optional(LabelsSchema),
});

export const EnrollmentTokenRequestSchema = z.strictObject({
  /** Labels of the host that enrolls with the token. */
  labels: z.optional(LabelsSchema),
});
export const EnrollmentTokenSchema = z.strictObject({ token: z.string(), expiresAt: TimestampSchema });

export const EnrollHostRequestSchema = z.strictObject({
  token: z.string().check(z.minLength(16), z.maxLength(256), z.regex(/^[A-Za-z0-9_.-]+$/)),
  name: NameSchema,
  /** The private key never leaves the host. */
  publicKey: PublicKeySchema,
  agentVersion: LineSchema,
  facts: HostFactsSchema,
});
export type EnrollHostRequest = z.infer<typeof EnrollHostRequestSchema>;
export const EnrollHostResponseSchema = z.strictObject({
  hostId: IdSchema,
  /** The agent signs a token for `tenant` and `hostId` with its key for each connection. */
  tenant: z.string(),
  webSocketUrl: z.string(),
  /** Ed25519 public keys whose commands the host accepts, the newest first. */
  commandKeys: z.optional(z.array(PublicKeySchema)),
});
