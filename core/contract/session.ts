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
 * Sessions, exec and logs: the bodies of their routes, and what client and host say to each other over the WebSocket.
 *
 * `POST …/sessions` gives `{sessionId, url, token}`. The client connects to `url` with `Authorization: Bearer <token>`
 * (a browser: `Sec-WebSocket-Protocol: bulkhead.session.v1, <token>`), within 30 s, once. A handshake is refused by
 * its status: {@link HANDSHAKE_REFUSALS}. After that each side sends messages of the form
 * `{action: 'session', sessionId, kind, …}`; the control plane relays them and looks into none but the exit.
 *
 * - `frame` carries one frame with its `sequence` (1, 2, 3 … in each direction). Messages may come twice, late and out
 *   of order; who receives puts them in order, and sends what it has by `ack` (all up to that sequence) and `limit`
 *   (how many bytes of data it takes in all, counted from the session's beginning: credit that a repeat can't spoil).
 *   What is not acknowledged is kept by its sender and sent again.
 * - `ack` is the same without a frame; with `probe` it asks for an answer. The first message after every connect is one.
 * - `renew` asks for a token for the next connect, `resume` brings it. It is good until its successor has been used.
 * - `ended` says that the session is over, or was never known, and that nothing more comes.
 * - `detached` tells the host that the client's connection is gone.
 */
export const SESSION_SUBPROTOCOL = 'bulkhead.session.v1';
/** What a session's token begins with; a host's is a JWT. */
export const SESSION_TOKEN_PREFIX = 'bhs_';

export const SESSION_LIMITS = {
  tokenSeconds: 30,
  /** Bytes of data in one frame: in base64 within its message it fits in one 32 KB frame of the WebSocket. */
  dataBytes: 23 * 1024,
  /** Bytes of data a side may have sent and the other not consumed. */
  windowBytes: 256 * 1024,
  /** Frames that a side keeps of those that came before their turn. */
  framesAhead: 512,
  /** How long a host keeps a session whose client is gone. */
  resumeSeconds: 60,
  /** A client that has nothing to say says so after this. */
  keepAliveSeconds: 60,
  /** What `exec` returns of each of stdout and stderr. */
  execOutputBytes: 32 * 1024,
  execSecondsDefault: 20,
  execSecondsMax: 25,
  /** Text in one page of logs, about. */
  logPageBytes: 64 * 1024,
  logTailMax: 10_000,
} as const;

/** Status of a refused handshake → the code of the reason. */
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
  'Where the last page ended: ask again with it for what came since, without loss or repetition.',
);

export const ExecRequestSchema = z.strictObject({
  command: CommandSchema,
  user: z.optional(UserInputSchema),
  env: z.optional(EnvironmentSchema),
  workingDir: z.optional(ContainerPathSchema),
  /** After this the process is killed. */
  timeoutSeconds: z.optional(z.int().check(z.minimum(1), z.maximum(SESSION_LIMITS.execSecondsMax))),
});
export const ExecResponseSchema = z.strictObject({
  exitCode: z.int(),
  /** UTF-8; what is none is replaced by U+FFFD. A session carries bytes unharmed. */
  stdout: z.string(),
  stderr: z.string(),
  /** More was written than is returned: the beginning is here. */
  truncated: z.boolean(),
  /** It was killed because its time was over. */
  timedOut: z.boolean(),
});

export const SessionRequestSchema = z.strictObject({
  /** A shell of the image's unless told. Not with `attach`. */
  command: z.optional(CommandSchema),
  tty: z.optional(z.boolean()),
  user: z.optional(UserInputSchema),
  /** As `root` or `ContainerAdministrator`. Not with `user`. */
  runAsAdministrator: z.optional(z.boolean()),
  columns: z.optional(size),
  rows: z.optional(size),
  env: z.optional(EnvironmentSchema),
  workingDir: z.optional(ContainerPathSchema),
  /**
   * Join the main process's input and output instead of starting a process. Its end of input and exit are the main process's.
   * Without a terminal all that it writes comes, as far as its log keeps it; on one, who does not keep up misses some of it.
   */
  attach: z.optional(z.boolean()),
  /** With `attach`: begin with what the main process has written already in this run, as far as it is kept. */
  logs: z.optional(z.boolean()),
  /** With `attach`, of a process without a terminal: begin at that place of its log. Not with `logs`. */
  cursor: z.optional(LogCursorSchema),
  /** With `attach`, of a process without a terminal: it waits for this reader once it is ahead by megabytes, in place of losing output. */
  paced: z.optional(z.boolean()),
});
export type SessionRequest = z.infer<typeof SessionRequestSchema>;

export const SessionTokenSchema = z.strictObject({
  sessionId: IdSchema,
  /** Where to connect; the token is not in it. */
  url: z.string(),
  token: z.string(),
  expiresAt: TimestampSchema,
});
export type SessionToken = z.infer<typeof SessionTokenSchema>;

export const LogItemSchema = z.strictObject({
  at: TimestampSchema,
  stream: OutputStreamSchema,
  /** One line without its newline, or a piece of one. */
  text: z.string(),
  /** The bytes in base64, where they are not UTF-8. */
  data: z.optional(z.string()),
  /** No newline came after it: the rest of the line is in later items of the same stream. */
  partial: z.optional(z.literal(true)),
});
export type LogItem = z.infer<typeof LogItemSchema>;
export const LogPageSchema = z.strictObject({
  items: z.array(LogItemSchema),
  /** Output that was asked for is not kept any more. */
  truncated: z.boolean(),
  /** The page was full, and there is more already. */
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

/** Why a session ended, beside `exited`. */
const SESSION_END_REASONS = [
  'exited',
  /** The client closed it. */
  'closed',
  /** The client was gone for longer than it may. */
  'client-gone',
  /** The container was stopped, restarted, converted or removed, or its main process ended. */
  'container-stopped',
  'revoked',
  'idle',
  'time-limit',
  /** A side did not keep to the protocol. */
  'protocol-error',
  /** The host knows nothing of it, e.g. its agent was restarted. */
  'unknown-session',
] as const;
export const SessionEndReasonSchema = z.enum(SESSION_END_REASONS);
export type SessionEndReason = z.infer<typeof SessionEndReasonSchema>;

export const ClientFrameSchema = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('input'), data }),
  z.strictObject({ type: z.literal('endInput') }),
  z.strictObject({ type: z.literal('resize'), columns: size, rows: size }),
  z.strictObject({ type: z.literal('signal'), name: SignalNameSchema }),
  z.strictObject({ type: z.literal('close') }),
]);
export type ClientFrame = z.infer<typeof ClientFrameSchema>;

export const HostFrameSchema = z.discriminatedUnion('type', [
  /** On a terminal everything is `stdout`. */
  z.strictObject({ type: z.literal('output'), stream: OutputStreamSchema, data }),
  /** The last frame. `exitCode` is null where there is none to be told, e.g. for a client that detached. */
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

/** What a client sends. */
export const ClientSessionMessageSchema = z.discriminatedUnion('kind', [
  clientFrame,
  ack,
  z.strictObject({ ...session, kind: z.literal('renew') }),
]);
export type ClientSessionMessage = z.infer<typeof ClientSessionMessageSchema>;

/** What a host sends. */
export const HostSessionMessageSchema = z.discriminatedUnion('kind', [hostFrame, ack, ended]);
export type HostSessionMessage = z.infer<typeof HostSessionMessageSchema>;

/** What a client gets. */
export const ToClientSessionMessageSchema = z.discriminatedUnion('kind', [
  hostFrame,
  ack,
  ended,
  z.strictObject({ ...session, kind: z.literal('resume'), token: z.string() }),
]);
export type ToClientSessionMessage = z.infer<typeof ToClientSessionMessageSchema>;

/** What a host gets. */
export const ToHostSessionMessageSchema = z.discriminatedUnion('kind', [
  clientFrame,
  ack,
  z.strictObject({ ...session, kind: z.literal('detached') }),
]);
export type ToHostSessionMessage = z.infer<typeof ToHostSessionMessageSchema>;
