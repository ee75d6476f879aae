import * as z from 'zod/mini';
import {
  CommandSchema,
  ContainerPathSchema,
  described,
  EnvironmentSchema,
  IdSchema,
  TimestampSchema,
  UserInputSchema,
} from './primitives.ts';

/**
 * Sessions, exec and logs: the bodies of their routes, and the messages between client and host over the WebSocket.
 *
 * `POST …/sessions` returns `{sessionId, url, token}`. The client connects to `url` with `Authorization: Bearer <token>`
 * (a browser: `Sec-WebSocket-Protocol: bulkhead.session.v1, <token>`), once, within 30 s. The status of
 * a refused handshake has the reason: {@link HANDSHAKE_REFUSALS}. After that each side sends messages of the form
 * `{action: 'session', sessionId, kind, …}`; the control plane forwards them and parses only the exit.
 *
 * - `frame` carries one frame with its `sequence` (1, 2, 3 … in each direction). Messages can arrive twice, late and
 *   out of order. The receiver orders them and reports progress by `ack` (all frames up to that sequence) and `limit`
 *   (total bytes of data that it accepts since the start of the session, so that a repeated message does not change the
 *   credit). The sender keeps unacknowledged frames and repeats them.
 * - `ack` is the same without a frame; with `probe` it requests a response. It is the first message of every connection.
 * - `renew` requests a token for the next connection, `resume` delivers it. It is valid until its successor is used.
 * - `ended` means that the session is over or unknown, and that no more messages follow.
 * - `detached` notifies the host that the client has disconnected.
 */
export const SESSION_SUBPROTOCOL = 'bulkhead.session.v1';
/** Prefix of a session token; a host's token is a JWT. */
export const SESSION_TOKEN_PREFIX = 'bhs_';

export const SESSION_LIMITS = {
  tokenSeconds: 30,
  /** Bytes of data in one frame: in base64 within its message it fits in one 32 KB frame of the WebSocket. */
  dataBytes: 23 * 1024,
  /** Maximum number of sent bytes that the other side has not consumed. */
  windowBytes: 256 * 1024,
  /** Maximum number of buffered frames that arrived out of order. */
  framesAhead: 512,
  /** How long a host keeps a session without a connected client. */
  resumeSeconds: 60,
  /** Interval of a client's keep-alive messages. */
  keepAliveSeconds: 60,
  /** Maximum size of stdout and of stderr in the result of `exec`. */
  execOutputBytes: 32 * 1024,
  execSecondsDefault: 20,
  execSecondsMax: 25,
  /** Approximate size of one page of logs. */
  logPageBytes: 64 * 1024,
  logTailMax: 10_000,
} as const;

/** Status of a refused handshake → code of the reason. */
export const HANDSHAKE_REFUSALS = {
  401: 'session-token-invalid',
  403: 'session-token-mismatch',
  404: 'session-ended',
  409: 'session-token-used',
  410: 'session-token-expired',
} as const;
export type HandshakeRefusal = (typeof HANDSHAKE_REFUSALS)[keyof typeof HANDSHAKE_REFUSALS];

const size = z.int().check(z.minimum(1), z.maximum(1000));
const data = z
  .string()
  .check(z.maxLength(Math.ceil(SESSION_LIMITS.dataBytes / 3) * 4), z.regex(/^[A-Za-z0-9+/]*={0,2}$/));

export const OutputStreamSchema = z.enum(['stdout', 'stderr']);
export type OutputStream = z.infer<typeof OutputStreamSchema>;

// Routes

export const LogCursorSchema = described(
  z.string().check(z.maxLength(256), z.regex(/^[A-Za-z0-9_.-]+$/)),
  'The position after the last page. A request with it returns the following items, without loss or repetition.',
);

export const ExecRequestSchema = z.strictObject({
  command: CommandSchema,
  user: z.optional(UserInputSchema),
  env: z.optional(EnvironmentSchema),
  workingDir: z.optional(ContainerPathSchema),
  /** The process is killed after this time. */
  timeoutSeconds: z.optional(z.int().check(z.minimum(1), z.maximum(SESSION_LIMITS.execSecondsMax))),
});
export const ExecResponseSchema = z.strictObject({
  exitCode: z.int(),
  /** UTF-8; invalid bytes are replaced by U+FFFD. A session transfers bytes unchanged. */
  stdout: z.string(),
  stderr: z.string(),
  /** Only the beginning of the output is returned. */
  truncated: z.boolean(),
  /** The process was killed at its time limit. */
  timedOut: z.boolean(),
});

export const SessionRequestSchema = z.strictObject({
  /** @default a shell of the image. Not with `attach`. */
  command: z.optional(CommandSchema),
  tty: z.optional(z.boolean()),
  user: z.optional(UserInputSchema),
  /** Run as `root` or `ContainerAdministrator`. Not with `user`. */
  runAsAdministrator: z.optional(z.boolean()),
  columns: z.optional(size),
  rows: z.optional(size),
  env: z.optional(EnvironmentSchema),
  workingDir: z.optional(ContainerPathSchema),
  /**
   * Attach to the main process's input and output instead of starting a process. End of input and exit apply to the main
   * process. Without a terminal all output is delivered, as far as the log keeps it. With a terminal, a slow reader loses output.
   */
  attach: z.optional(z.boolean()),
  /** With `attach`: start with the earlier output of this run, as far as the log keeps it. */
  logs: z.optional(z.boolean()),
  /** With `attach`, without a terminal: start at this position of the log. Not with `logs`. */
  cursor: z.optional(LogCursorSchema),
  /** With `attach`, without a terminal: the process blocks when this reader is megabytes behind, instead of losing output. */
  paced: z.optional(z.boolean()),
  /**
   * With `attach`, to a container that does not run: wait for its next start, then deliver all output of that run. Input is
   * kept until then. If the container runs already, the same as `logs`. Not with `cursor`.
   */
  awaitStart: z.optional(z.boolean()),
});
export type SessionRequest = z.infer<typeof SessionRequestSchema>;

export const SessionTokenSchema = z.strictObject({
  sessionId: IdSchema,
  /** The URL to connect to, without the token. */
  url: z.string(),
  token: z.string(),
  expiresAt: TimestampSchema,
});
export type SessionToken = z.infer<typeof SessionTokenSchema>;

export const LogItemSchema = z.strictObject({
  at: TimestampSchema,
  stream: OutputStreamSchema,
  /** One line without its newline, or a part of one. */
  text: z.string(),
  /** The bytes in base64, if they are not UTF-8. */
  data: z.optional(z.string()),
  /** A partial line: the rest is in later items of the same stream. */
  partial: z.optional(z.literal(true)),
});
export type LogItem = z.infer<typeof LogItemSchema>;
export const LogPageSchema = z.strictObject({
  items: z.array(LogItemSchema),
  /** Requested output is no longer available. */
  truncated: z.boolean(),
  /** The page is full and more output is available. */
  more: z.boolean(),
  nextCursor: LogCursorSchema,
});
export type LogPage = z.infer<typeof LogPageSchema>;

// Frames

export const SIGNALS = {
  HUP: 1,
  INT: 2,
  QUIT: 3,
  KILL: 9,
  USR1: 10,
  USR2: 12,
  TERM: 15,
  CONT: 18,
  STOP: 19,
  TSTP: 20,
} as const;
export type SignalName = keyof typeof SIGNALS;
const SignalNameSchema = z.enum(Object.keys(SIGNALS) as [SignalName, ...SignalName[]]);

/** Why a session ended, other than `exited`. */
const SESSION_END_REASONS = [
  'exited',
  /** The client closed it. */
  'closed',
  /** The client was disconnected for too long. */
  'client-gone',
  /** The container was stopped, restarted, converted or removed, or its main process ended. */
  'container-stopped',
  'revoked',
  'idle',
  'time-limit',
  /** A side violated the protocol. */
  'protocol-error',
  /** The host has no such session, e.g. because its agent was restarted. */
  'unknown-session',
] as const;
export const SessionEndReasonSchema = z.enum(SESSION_END_REASONS);
export type SessionEndReason = z.infer<typeof SessionEndReasonSchema>;

export const ClientFrameSchema = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('input'), data }),
  z.strictObject({ type: z.literal('endInput') }),
  z.strictObject({ type: z.literal('resize'), columns: size, rows: size }),
  z.strictObject({ type: z.literal('signal'), name: SignalNameSchema }),
  /** Ends the session. With `keep`, its process continues without a client until it exits or the container stops. */
  z.strictObject({ type: z.literal('close'), keep: z.optional(z.literal(true)) }),
]);
export type ClientFrame = z.infer<typeof ClientFrameSchema>;

export const HostFrameSchema = z.discriminatedUnion('type', [
  /** With a terminal all output is `stdout`. */
  z.strictObject({ type: z.literal('output'), stream: OutputStreamSchema, data }),
  /** The last frame. `exitCode` is null without an exit, e.g. for a client that detached. */
  z.strictObject({ type: z.literal('exit'), exitCode: z.nullable(z.int()), reason: SessionEndReasonSchema }),
]);
export type HostFrame = z.infer<typeof HostFrameSchema>;

// Messages

const count = z.int().check(z.minimum(0));
const session = { action: z.literal('session'), sessionId: IdSchema };
const window = { ack: count, limit: count };
const ack = z.strictObject({
  ...session,
  kind: z.literal('ack'),
  ...window,
  probe: z.optional(z.literal(true)),
});
const frameOf = <T extends z.ZodMiniType>(frame: T) =>
  z.strictObject({
    ...session,
    kind: z.literal('frame'),
    ...window,
    sequence: z.int().check(z.minimum(1)),
    frame,
  });
const clientFrame = frameOf(ClientFrameSchema);
const hostFrame = frameOf(HostFrameSchema);
const ended = z.strictObject({ ...session, kind: z.literal('ended'), reason: SessionEndReasonSchema });

/** A message from a client. */
export const ClientSessionMessageSchema = z.discriminatedUnion('kind', [
  clientFrame,
  ack,
  z.strictObject({ ...session, kind: z.literal('renew') }),
]);
export type ClientSessionMessage = z.infer<typeof ClientSessionMessageSchema>;

/** A message from a host. */
export const HostSessionMessageSchema = z.discriminatedUnion('kind', [hostFrame, ack, ended]);
export type HostSessionMessage = z.infer<typeof HostSessionMessageSchema>;

/** A message to a client. */
export const ToClientSessionMessageSchema = z.discriminatedUnion('kind', [
  hostFrame,
  ack,
  ended,
  z.strictObject({ ...session, kind: z.literal('resume'), token: z.string() }),
]);
export type ToClientSessionMessage = z.infer<typeof ToClientSessionMessageSchema>;

/** A message to a host. */
export const ToHostSessionMessageSchema = z.discriminatedUnion('kind', [
  clientFrame,
  ack,
  z.strictObject({ ...session, kind: z.literal('detached') }),
]);
export type ToHostSessionMessage = z.infer<typeof ToHostSessionMessageSchema>;
