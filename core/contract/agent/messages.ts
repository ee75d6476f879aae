import * as z from 'zod/mini';
import { HostFactsSchema } from '../host.ts';
import { ImageFactsSchema } from '../image.ts';
import { OperationStepSchema } from '../operation.ts';
import { LineSchema, PublicKeySchema } from '../primitives.ts';
import { ToHostSessionMessageSchema } from '../session.ts';
import { CommandResultSchema, ObservedContainerSchema } from './commands.ts';
import { REFUSAL_REASONS, SignedSchema } from './signed.ts';

/**
 * The messages between an agent and the control plane over the WebSocket. An agent's message that must not be lost has a
 * `messageId` and is repeated until an `ack` names it; receipt is idempotent.
 *
 * A `hello` declares the protocol version of the agent, and the `welcome` to it confirms that version for the connection.
 * Optional members are added without a new version, because releases may differ. A new version is for messages that the other
 * side would misread. The control plane is updated first, so it also accepts older versions.
 */

export const PROTOCOL_VERSION = 1;
/** The oldest version that the control plane accepts from an agent. */
export const OLDEST_PROTOCOL_VERSION = 1;

const DeclaredSchema = z.looseObject({ action: z.string(), protocol: z.int() });

/** The version that a message with that action declares, whatever else it contains; null if it declares none. */
export const declaredProtocol = (message: unknown, action: 'hello' | 'welcome'): number | null => {
  const declared = DeclaredSchema.safeParse(message).data;
  return declared?.action === action ? declared.protocol : null;
};

/** The audience of the token that an agent signs for each connection. */
export const HOST_TOKEN_AUDIENCE = 'bulkhead-host-link';
/** Maximum validity of such a token, in seconds. */
export const HOST_TOKEN_SECONDS = 60;

const messageId = z.string().check(z.minLength(1), z.maxLength(128));

/** The limits of the WebSocket API, in bytes: of a message, and of each frame. */
export const MESSAGE_BYTES = 128 * 1024;
export const FRAME_BYTES = 32 * 1024;

/**
 * The range of a host's images in a message, if not all fit: all whose lower-case names, in character order, are after
 * `after` and not after `through`. Null: from the first one, or to the last. The message has no information about images outside
 * the range. Without a range it lists all images.
 */
export const ImageRangeSchema = z.strictObject({
  after: z.nullable(z.string()),
  through: z.nullable(z.string()),
});
export type ImageRange = z.infer<typeof ImageRangeSchema>;

/** The first message of a connection: facts, images and containers of the host. A container that is not listed does not exist on the host. */
export const HelloSchema = z.strictObject({
  action: z.literal('hello'),
  messageId,
  protocol: z.int(),
  agentVersion: LineSchema,
  facts: HostFactsSchema,
  images: z.array(ImageFactsSchema),
  imageRange: z.optional(ImageRangeSchema),
  observed: z.array(ObservedContainerSchema),
  /**
   * The host has more containers than fit into a message. The rest follow in `observed` messages, and a container that is
   * missing here is not lost.
   */
  partial: z.optional(z.boolean()),
  /** The newest key of the control plane that the host trusts; absent if it trusts none. */
  commandKey: z.optional(z.string()),
});

/** Renews the lease, and the task tokens of running commands. */
export const HeartbeatSchema = z.strictObject({
  action: z.literal('heartbeat'),
  inProgress: z.array(z.string()),
});

export const ResultSchema = z.strictObject({
  action: z.literal('result'),
  messageId,
  result: CommandResultSchema,
});

/** A change without a command, e.g. a main process ended. */
const ObservedSchema = z.strictObject({
  action: z.literal('observed'),
  messageId,
  observed: z.array(ObservedContainerSchema),
  images: z.optional(z.array(ImageFactsSchema)),
  imageRange: z.optional(ImageRangeSchema),
});

/** Steps of a command that takes longer than two seconds, for callers that wait. This message can be lost. */
export const ProgressSchema = z.strictObject({
  action: z.literal('progress'),
  commandId: z.string(),
  steps: z.array(OperationStepSchema),
});

/** The longest id of a refused command that a report carries. */
export const CLAIMED_ID_LENGTH = 256;

/** The host refused a command because it could not verify the signature. */
export const CommandRefusedSchema = z.strictObject({
  action: z.literal('commandRefused'),
  messageId,
  /** The id in the refused message; empty if the message has none. */
  commandId: z.string().check(z.maxLength(CLAIMED_ID_LENGTH)),
  reason: z.enum(REFUSAL_REASONS),
});

export const AgentMessageSchema = z.discriminatedUnion('action', [
  HelloSchema,
  HeartbeatSchema,
  ResultSchema,
  ObservedSchema,
  ProgressSchema,
  CommandRefusedSchema,
]);
export type AgentMessage = z.infer<typeof AgentMessageSchema>;

export const WelcomeSchema = z.strictObject({
  action: z.literal('welcome'),
  messageId,
  protocol: z.int(),
  heartbeatSeconds: z.int(),
  /** A host becomes `Unknown` if it sends no heartbeat within this time. */
  leaseSeconds: z.int(),
  /** For purpose `server-time`. */
  signedTime: z.optional(SignedSchema),
  /** For a host without a trusted key: the current keys, newest first. */
  commandKeys: z.optional(z.array(PublicKeySchema)),
  /** For a host with an older key: announcements for purpose `next-key`, each signed by the previous key. */
  nextKeys: z.optional(z.array(SignedSchema)),
});
/** For purpose `command`. */
const CommandMessageSchema = z.strictObject({ action: z.literal('command'), ...SignedSchema.shape });
const AckSchema = z.strictObject({ action: z.literal('ack'), messageId });
/** Requests a `hello`, e.g. after an execution was aborted. */
const InventoryRequestSchema = z.strictObject({ action: z.literal('inventoryRequest') });
/** The agent's message violates the contract and must not be repeated. */
const RefusedSchema = z.strictObject({
  action: z.literal('refused'),
  messageId: z.nullable(z.string()),
  detail: z.string(),
});

/** Session frames use the same connection, but a separate function: see `session.ts`. */
export const ControlMessageSchema = z.discriminatedUnion('action', [
  WelcomeSchema,
  CommandMessageSchema,
  AckSchema,
  InventoryRequestSchema,
  RefusedSchema,
  ToHostSessionMessageSchema,
]);
export type ControlMessage = z.infer<typeof ControlMessageSchema>;
