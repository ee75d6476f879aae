import {
  type ClientFrame,
  type HandshakeRefusal,
  type HostFrame,
  type OutputStream,
  SESSION_LIMITS,
  type SignalName,
  type ToClientSessionMessage,
  ToClientSessionMessageSchema,
} from '../contract/session.ts';
import type { Timers } from '../session/send-window.ts';
import { SessionWindow } from '../session/session-window.ts';
import { fromBase64, toBase64 } from './bytes.ts';
import { platformWebSocket, type SessionSocket, type WebSocketFactory } from './session-socket.ts';

export interface SessionAddress {
  readonly url: string;
  readonly token: string;
  readonly sessionId: string;
}

export interface SessionSettings {
  /** @default the platform's WebSocket; use `nodeWebSocket` in Node, which reports why a handshake was refused */
  readonly webSocketFactory?: WebSocketFactory;
  readonly timers?: Timers;
  /** Returns a number in [0, 1), which spreads reconnects. */
  readonly random?: () => number;
}

export interface SessionExit {
  /** Null if the process reported no exit code: see `reason`. */
  readonly exitCode: number | null;
  /** A reason from the contract, the code of a refused reconnect, or `connection-lost`. */
  readonly reason: string;
}

/** A session could not be opened, or has ended. */
export class SessionError extends Error {
  override readonly name = 'SessionError';
  readonly code: HandshakeRefusal | 'connection-lost' | 'session-closed';
  constructor(code: SessionError['code'], message: string) {
    super(message);
    this.code = code;
  }
}

const systemTimers: Timers = {
  now: () => performance.now(),
  after: (milliseconds, callback) => {
    const timer = setTimeout(callback, milliseconds);
    return () => clearTimeout(timer);
  },
};

const FIRST_WAIT_MS = 100;
const MAX_WAIT_MS = 5_000;
const CHECK_INTERVAL_MS = 5_000;
/** A connection on which an expected message does not arrive within this time is considered broken. */
const SILENCE_MS = 20_000;

type Listener = (stream: OutputStream, bytes: Uint8Array) => void;
type Delivered = Extract<HostFrame, { type: 'output' }>;

/**
 * A session client: bytes in both directions, over one or more connections.
 *
 * connecting → open ⇄ reconnecting → ended. If the first handshake is refused, {@link openSession} rejects. After a later
 * disconnect the client reconnects with the token from the last connection, and no bytes are lost or repeated. The session
 * ends when the process exits, or when no reconnect succeeds in time.
 */
export class SessionStream {
  readonly sessionId: string;
  readonly exit: Promise<SessionExit>;
  readonly #settleExit = Promise.withResolvers<SessionExit>();
  readonly #opened = Promise.withResolvers<void>();
  readonly #window: SessionWindow<ClientFrame, HostFrame>;
  readonly #timers: Timers;
  readonly #random: () => number;
  readonly #factory: WebSocketFactory;
  readonly #url: string;
  #token: string | null;
  #socket: SessionSocket | null = null;
  #connected = false;
  #hasOpened = false;
  #hasEnded = false;
  #lostAt: number | null = null;
  #attempts = 0;
  #lastMessageAt: number;
  #probed = false;
  #cancel: (() => void)[] = [];
  #listener: Listener | null = null;
  #paused = false;
  /** Received output that is not consumed yet, because there is no listener or it has paused. */
  #buffered: Delivered[] = [];
  #exit: SessionExit | null = null;
  #inputEnded = false;
  readonly #writes = new Set<(error: SessionError) => void>();

  constructor({ url, token, sessionId }: SessionAddress, settings: SessionSettings = {}) {
    this.sessionId = sessionId;
    this.#url = url;
    this.#token = token;
    this.#timers = settings.timers ?? systemTimers;
    this.#random = settings.random ?? Math.random;
    this.#factory = settings.webSocketFactory ?? platformWebSocket;
    this.exit = this.#settleExit.promise;
    this.exit.catch(() => undefined);
    this.#lastMessageAt = this.#timers.now();
    this.#window = new SessionWindow<ClientFrame, HostFrame>({
      timers: this.#timers,
      send: (message) => this.#send({ action: 'session', sessionId, ...message }),
      bytesOf: (frame) => (frame.type === 'output' ? lengthOf(frame.data) : 0),
      deliver: (frame) => this.#deliver(frame),
      onViolation: () => this.#finish({ exitCode: null, reason: 'protocol-error' }),
    });
    this.#connect();
    this.#checkConnection();
  }

  /** Resolves once the first connection is open. @throws {SessionError} with the code of the refusal */
  get opened(): Promise<void> {
    return this.#opened.promise;
  }

  /** Resolves when the bytes were sent. A caller that waits for it has at most one window of bytes in transit. */
  async write(bytes: Uint8Array): Promise<void> {
    if (this.#hasEnded || this.#inputEnded)
      throw new SessionError('session-closed', 'The session accepts no more input.');
    await new Promise<void>((resolve, reject) => {
      this.#writes.add(reject);
      let left = Math.max(1, Math.ceil(bytes.length / SESSION_LIMITS.dataBytes));
      const sent = () => {
        left -= 1;
        if (left > 0) return;
        this.#writes.delete(reject);
        resolve();
      };
      if (bytes.length === 0) sent();
      for (let from = 0; from < bytes.length; from += SESSION_LIMITS.dataBytes) {
        const piece = bytes.subarray(from, from + SESSION_LIMITS.dataBytes);
        this.#window.put({ type: 'input', data: toBase64(piece) }, piece.length, sent);
      }
    });
  }

  /** Ends the input. Output continues. */
  endInput(): void {
    if (this.#hasEnded || this.#inputEnded) return;
    this.#inputEnded = true;
    this.#window.put({ type: 'endInput' });
  }

  resize(columns: number, rows: number): void {
    if (!this.#hasEnded) this.#window.putUrgent({ type: 'resize', columns, rows });
  }

  signal(name: SignalName): void {
    if (!this.#hasEnded) this.#window.putUrgent({ type: 'signal', name });
  }

  /** Sets the listener for output, which first gets the output received so far. */
  onOutput(listener: Listener): void {
    this.#listener = listener;
    this.#drain();
  }

  /** Pauses output until `resume`. Received output is buffered; the process blocks when a window is full. */
  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.#drain();
  }

  /** Ends the session and its process. An attached main process continues. */
  close(): void {
    this.#closeWith({ type: 'close' });
  }

  /** Ends the session. Its process continues without a client. */
  detach(): void {
    this.#closeWith({ type: 'close', keep: true });
  }

  #closeWith(frame: Extract<ClientFrame, { type: 'close' }>): void {
    if (this.#hasEnded) return;
    this.#window.putLast(frame);
    this.#buffered = [];
    this.#listener = () => undefined;
    this.#paused = false;
    if (!this.#connected) this.#finish({ exitCode: null, reason: 'closed' });
  }

  #connect(): void {
    const token = this.#token;
    if (token === null) {
      this.#finish({ exitCode: null, reason: 'connection-lost' });
      return;
    }
    let isCurrent = true;
    const onClose = (refusal: HandshakeRefusal | null, why: string) => {
      if (!isCurrent) return;
      isCurrent = false;
      this.#onDisconnected(refusal, why);
    };
    const socket: SessionSocket = this.#factory(
      { url: this.#url, token },
      {
        onOpen: () => {
          if (isCurrent) this.#open();
        },
        onMessage: (text) => {
          if (isCurrent) this.#read(text);
        },
        onClose,
      },
    );
    this.#socket = {
      send: (text) => socket.send(text),
      close: () => {
        isCurrent = false;
        socket.close();
      },
    };
  }

  #open(): void {
    this.#connected = true;
    // The first token can be used once. Each later token is valid until its successor is used.
    if (!this.#hasOpened) this.#token = null;
    this.#hasOpened = true;
    this.#lostAt = null;
    this.#attempts = 0;
    this.#lastMessageAt = this.#timers.now();
    this.#opened.resolve();
    this.#window.connected();
    this.#send({ action: 'session', sessionId: this.sessionId, kind: 'renew' });
  }

  #onDisconnected(refusal: HandshakeRefusal | null, why: string): void {
    this.#connected = false;
    this.#window.disconnected();
    if (this.#hasEnded) return;
    const now = this.#timers.now();
    this.#lostAt ??= now;
    const late = now - this.#lostAt > SESSION_LIMITS.resumeSeconds * 1_000;
    if (!this.#hasOpened)
      this.#fail(new SessionError(refusal ?? 'connection-lost', `The session could not be opened: ${why}.`));
    else if (refusal !== null || late) this.#finish({ exitCode: null, reason: refusal ?? 'connection-lost' });
    else this.#scheduleReconnect();
  }

  #scheduleReconnect(): void {
    const ceiling = Math.min(MAX_WAIT_MS, FIRST_WAIT_MS * 2 ** Math.min(this.#attempts, 10));
    this.#attempts += 1;
    this.#cancel.push(
      this.#timers.after(ceiling * (0.5 + this.#random() / 2), () => {
        if (!this.#hasEnded) this.#connect();
      }),
    );
  }

  #read(text: string): void {
    const message = parse(text);
    if (message === null || message.sessionId !== this.sessionId || this.#hasEnded) return;
    this.#lastMessageAt = this.#timers.now();
    this.#probed = false;
    if (message.kind === 'resume') this.#token = message.token;
    else if (message.kind === 'ended') this.#finish({ exitCode: null, reason: message.reason });
    else this.#window.receive(message);
  }

  #send(message: object): void {
    if (this.#connected) this.#socket?.send(JSON.stringify(message));
  }

  #deliver(frame: HostFrame): void {
    if (frame.type === 'output') this.#buffered.push(frame);
    else this.#exit = { exitCode: frame.exitCode, reason: frame.reason };
    this.#drain();
  }

  #drain(): void {
    while (this.#listener !== null && !this.#paused && this.#buffered.length > 0) {
      const { stream, data } = this.#buffered.shift() as Delivered;
      const bytes = fromBase64(data);
      this.#listener(stream, bytes);
      this.#window.consumed(bytes.length);
    }
    // The exit is reported even without a listener.
    if (this.#exit !== null && (this.#buffered.length === 0 || this.#listener === null))
      this.#finish(this.#exit);
  }

  /** Keeps the connection alive, and detects a broken one. */
  #checkConnection(): void {
    const now = this.#timers.now();
    if (
      this.#connected &&
      now - this.#lastMessageAt > SILENCE_MS &&
      (this.#probed || !this.#window.settled)
    ) {
      this.#socket?.close();
      this.#onDisconnected(null, 'the control plane stopped sending messages');
    } else if (
      this.#connected &&
      now - this.#lastMessageAt > SESSION_LIMITS.keepAliveSeconds * 1_000 - SILENCE_MS
    ) {
      this.#probed = true;
      this.#window.probe();
    }
    if (!this.#hasEnded)
      this.#cancel = [this.#timers.after(CHECK_INTERVAL_MS, () => this.#checkConnection())];
  }

  #fail(error: SessionError): void {
    this.#opened.reject(error);
    this.#settleExit.reject(error);
    this.#stop(error);
  }

  #finish(exit: SessionExit): void {
    if (this.#hasEnded) return;
    if (this.#connected) this.#window.acknowledge();
    this.#opened.resolve();
    this.#settleExit.resolve(exit);
    this.#stop(new SessionError('session-closed', 'The session has ended.'));
  }

  #stop(error: SessionError): void {
    this.#hasEnded = true;
    for (const cancel of this.#cancel) cancel();
    for (const reject of this.#writes) reject(error);
    this.#writes.clear();
    this.#window.close();
    this.#connected = false;
    this.#socket?.close();
  }
}

const lengthOf = (base64: string): number =>
  (base64.length / 4) * 3 - (base64.endsWith('==') ? 2 : base64.endsWith('=') ? 1 : 0);

const parse = (text: string): ToClientSessionMessage | null => {
  try {
    return ToClientSessionMessageSchema.safeParse(JSON.parse(text)).data ?? null;
  } catch {
    return null;
  }
};

/**
 * Connects to a session that `POST …/sessions` created. Resolves once it is connected.
 * @throws {SessionError} whose `code` is the reason of the refusal
 */
export const openSession = async (
  address: SessionAddress,
  settings: SessionSettings = {},
): Promise<SessionStream> => {
  const stream = new SessionStream(address, settings);
  await stream.opened;
  return stream;
};
