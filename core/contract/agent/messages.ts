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
 * `messageId` and is sent again until an `ack` names it; receipt is idempotent.
 *
 * A `hello` declares the protocol version of the agent, and the `welcome` to it confirms that version for the connection.
 * Optional members are added without a new version: releases may differ. A new version is for messages that the other
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
/** How long such a token may be valid, in seconds. */
export const HOST_TOKEN_SECONDS = 60;

const messageId = z.string().check(z.minLength(1), z.maxLength(128));

/** The limits of the WebSocket API, in bytes: of a message and of each of the frames it is sent in. */
export const MESSAGE_BYTES = 128 * 1024;
export const FRAME_BYTES = 32 * 1024;

/**
 * Which of a host's images a message has, when there are more than fit: all of those whose names, in lower case and
 * in the order of their characters, come after `after` and not after `through`. Null: from the first one, or to the last. Nothing may
 * be concluded on an image outside this range; without a range a message has them all.
 */
export const ImageRangeSchema = z.strictObject({
  after: z.nullable(z.string()),
  through: z.nullable(z.string()),
});
export type ImageRange = z.infer<typeof ImageRangeSchema>;

/** First after each connection: what the host is, holds, and really runs. Containers not in it are not there. */
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
   * The host holds more containers than fit in a message: the rest follow in `observed` messages, and nothing
   * may be concluded from a container's not being in this one.
   */
  partial: z.optional(z.boolean()),
  /** The newest key of the control plane that the host trusts; absent while it has none. */
  commandKey: z.optional(z.string()),
});

/** Keeps the lease, and the task tokens of what is being worked on, alive. */
export const HeartbeatSchema = z.strictObject({
  action: z.literal('heartbeat'),
  inProgress: z.array(z.string()),
});

export const ResultSchema = z.strictObject({
  action: z.literal('result'),
  messageId,
  result: CommandResultSchema,
});

/** Something changed that no command asked for, e.g. a main process ended. */
const ObservedSchema = z.strictObject({
  action: z.literal('observed'),
  messageId,
  observed: z.array(ObservedContainerSchema),
  images: z.optional(z.array(ImageFactsSchema)),
  imageRange: z.optional(ImageRangeSchema),
});

/** Steps of a command that takes longer than two seconds, so that who waits sees them. May be lost. */
export const ProgressSchema = z.strictObject({
  action: z.literal('progress'),
  commandId: z.string(),
  steps: z.array(OperationStepSchema),
});

/** The longest id of a refused command that a report carries. */
export const CLAIMED_ID_LENGTH = 256;

/** The host did not take a command, because it can't tell that it is the control plane's own. */
export const CommandRefusedSchema = z.strictObject({
  action: z.literal('commandRefused'),
  messageId,
  /** As the message claims; empty if it names none. */
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
  /** A host that is silent for longer counts as `Unknown`. */
  leaseSeconds: z.int(),
  /** For purpose `server-time`. */
  signedTime: z.optional(SignedSchema),
  /** For a host that trusts no key yet: those in use, the newest first. */
  commandKeys: z.optional(z.array(PublicKeySchema)),
  /** For a host that trusts an older key: for purpose `next-key`, each signed by the key before. */
  nextKeys: z.optional(z.array(SignedSchema)),
});
/** For purpose `command`. */
const CommandMessageSchema = z.strictObject({ action: z.literal('command'), ...SignedSchema.shape });
const AckSchema = z.strictObject({ action: z.literal('ack'), messageId });
/** Asks for a `hello`, e.g. after an execution was aborted. */
const InventoryRequestSchema = z.strictObject({ action: z.literal('inventoryRequest') });
/** What the agent sent is not of the contract; it is not to be sent again. */
const RefusedSchema = z.strictObject({
  action: z.literal('refused'),
  messageId: z.nullable(z.string()),
  detail: z.string(),
});

/** Frames of sessions go both ways beside these messages, to a function of their own: see `session.ts`. */
export const ControlMessageSchema = z.discriminatedUnion('action', [
  WelcomeSchema,
  CommandMessageSchema,
  AckSchema,
  InventoryRequestSchema,
  RefusedSchema,
  ToHostSessionMessageSchema,
]);
export type ControlMessage = z.infer<typeof ControlMessageSchema>;
