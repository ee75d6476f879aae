import type { Duplex } from 'node:stream';
import type { Cancel, Clock } from '../../../clock.ts';
import {
  decodeFields,
  encodeFields,
  encodeFrame,
  FLAG_MORE,
  FRAME,
  type Frame,
  FrameDecoder,
  GuestProtocolError,
  HEADER_BYTES,
  HelloFinder,
  MAIN_STREAM,
  MAX_PAYLOAD,
  MAX_SPAWN,
  MAX_STREAMS,
  NONCE_BYTES,
} from './frames.ts';
import { GuestProcess } from './guest-process.ts';

interface ChannelDeps {
  readonly clock: Clock;
  readonly randomBytes: (count: number) => Buffer;
}

/** The state that a guest reports when the agent connects. */
export interface GuestGreeting {
  /** Version of the protocol. */
  readonly version: number;
  readonly layersMounted: boolean;
  readonly main: 'never-started' | 'running' | 'ended';
  readonly exitCode: number;
  readonly signal: number;
  readonly outOfMemory: boolean;
  readonly uptimeSeconds: number;
}

interface GuestAnswer {
  /** 0, or a negative errno. */
  readonly result: number;
  readonly data: Buffer;
}

type Fields = readonly (readonly [name: string, value: string])[];

/** Maximum number of bytes from an earlier connection before the greeting. */
const GREETING_LIMIT = 4 * 1024 * 1024;
const MAX_ANSWER = 1024 * 1024;
/** An answer of that size has half as many parts. Each part uses the agent's memory, even if it is empty. */
const MAX_ANSWER_PARTS = 64;
const MAX_REQUESTS = 64;
/** Time limit for an answer, and for a process to start. If the guest needs longer, its connection is closed. */
export const ANSWER_TIMEOUT_MS = 30_000;
/** Time limit for requests that are slow under emulation or with a large disk. Less than the limit of the calling step. */
export const LONG_ANSWER_TIMEOUT_MS = 110_000;
/** Buffer limit for a guest that does not read, in bytes. Beyond it the connection is closed. */
const MAX_UNSENT = 2 * 1024 * 1024;
const MAIN_STATES = ['never-started', 'running', 'ended'] as const;

/** From this version of the protocol on, a SPAWN can have several parts. */
const LARGE_SPAWN_VERSION = 2;

interface PendingAnswer {
  readonly settle: PromiseWithResolvers<GuestAnswer>;
  readonly timeoutMs: number;
  readonly cancelTimeout: Cancel;
  readonly parts: Buffer[];
  bytes: number;
}

/**
 * A connection to a guest agent. All data from the guest is treated as hostile. Its memory is bounded. An unexpected frame
 * closes the connection, and has no other effect.
 *
 * If a guest does not answer in time, the connection is closed as after a protocol violation, so that no caller waits
 * indefinitely.
 *
 * States: opened (waiting for the greeting) → connected → closed, with the reason in `closed`. After a reconnect the guest
 * keeps its main process and ends all other processes.
 */
export class GuestChannel {
  readonly #transport: Duplex;
  readonly #clock: Pick<Clock, 'after'>;
  readonly #decoder = new FrameDecoder();
  readonly #answers = new Map<number, PendingAnswer>();
  readonly #processes = new Map<number, GuestProcess>();
  readonly #greeting = Promise.withResolvers<GuestGreeting>();
  readonly #closed = Promise.withResolvers<Error>();
  #finder: HelloFinder | null;
  #hasGreeted = false;
  /** Guests that an earlier version started accept less. */
  #maxSpawn = MAX_PAYLOAD;
  /** Processes that have frames in the current piece of data. */
  readonly #touched = new Set<GuestProcess>();
  #nextRequest = 1;
  #reason: Error | null = null;

  /**
   * Resolves once the guest has answered. If it does not answer within `timeoutMs`, closes the transport and rejects.
   * @param isReconnect whether there may have been an earlier connection to this guest
   */
  static async open(
    transport: Duplex,
    { clock, randomBytes }: ChannelDeps,
    { timeoutMs, isReconnect }: { timeoutMs: number; isReconnect: boolean },
  ): Promise<{ channel: GuestChannel; greeting: GuestGreeting }> {
    const nonce = randomBytes(NONCE_BYTES);
    const channel = new GuestChannel(transport, clock, nonce);
    // More zeros than the longest frame has bytes complete a partial frame of the earlier connection.
    if (isReconnect) {
      transport.write(Buffer.alloc(HEADER_BYTES + MAX_PAYLOAD));
      channel.#addProcess(MAIN_STREAM);
    }
    transport.write(encodeFrame(FRAME.connect, 0, nonce));
    const cancel = channel.#closeAfter(timeoutMs, 'The guest did not answer');
    try {
      return { channel, greeting: await channel.#greeting.promise };
    } finally {
      cancel();
    }
  }

  private constructor(transport: Duplex, clock: Pick<Clock, 'after'>, nonce: Buffer) {
    this.#transport = transport;
    this.#clock = clock;
    this.#finder = new HelloFinder(nonce, GREETING_LIMIT);
    this.#greeting.promise.catch(() => {});
    transport.on('data', (piece: Buffer) => this.#receive(piece));
    transport.once('error', (error) => this.close(error));
    transport.once('close', () => this.close(new GuestGoneError('The connection to the guest has ended')));
  }

  /** Resolves with the reason once the connection has ended. */
  get closed(): Promise<Error> {
    return this.#closed.promise;
  }

  close(reason: Error = new GuestGoneError('The connection was closed')): void {
    if (this.#reason !== null) return;
    this.#reason = reason;
    this.#transport.destroy();
    this.#greeting.reject(reason);
    for (const { settle, cancelTimeout } of this.#answers.values()) {
      cancelTimeout();
      settle.reject(reason);
    }
    this.#answers.clear();
    for (const process of this.#processes.values()) process.abandon(reason);
    this.#processes.clear();
    this.#closed.resolve(reason);
  }

  /** Sends a request to the guest agent. Rejects when the connection closes first, which happens after `timeoutMs`. */
  request(name: string, fields: Fields = [], timeoutMs = ANSWER_TIMEOUT_MS): Promise<GuestAnswer> {
    if (this.#reason !== null) return Promise.reject(this.#reason);
    if (this.#answers.size >= MAX_REQUESTS)
      return Promise.reject(new GuestTimeoutError('Too many requests to the guest are pending', 0));
    const id = this.#freeRequest();
    const pending = this.#expectAnswer(name, timeoutMs);
    this.#answers.set(id, pending);
    this.#send(encodeFrame(FRAME.request, id, encodeFields([['request', name], ...fields])));
    return pending.settle.promise;
  }

  #expectAnswer(name: string, wantedMs: number): PendingAnswer {
    // The guest answers in order, so a new request waits for the earlier ones.
    const timeoutMs = this.#afterOthers(wantedMs);
    return {
      settle: Promise.withResolvers(),
      timeoutMs,
      cancelTimeout: this.#closeAfter(timeoutMs, `The guest did not answer the request ${name}`),
      parts: [],
      bytes: 0,
    };
  }

  #afterOthers(wantedMs: number): number {
    return Math.max(wantedMs, ...[...this.#answers.values()].map(({ timeoutMs }) => timeoutMs));
  }

  #closeAfter(timeoutMs: number, what: string): Cancel {
    return this.#clock.after(timeoutMs, () => this.close(new GuestTimeoutError(what, timeoutMs)));
  }

  /** Starts the main process. */
  startMain(fields: Fields): GuestProcess {
    return this.#spawn(MAIN_STREAM, fields, LONG_ANSWER_TIMEOUT_MS);
  }

  /** Adopts the main process that an earlier connection started. Its output is queued from the first frame on. */
  adoptMain(): GuestProcess {
    return this.#processes.get(MAIN_STREAM) ?? this.#addProcess(MAIN_STREAM);
  }

  /** Starts another process in the container. Throws if there are too many. */
  startProcess(fields: Fields): GuestProcess {
    for (let stream = MAIN_STREAM + 1; stream < MAX_STREAMS; stream++)
      if (!this.#processes.has(stream)) return this.#spawn(stream, fields, ANSWER_TIMEOUT_MS);
    throw new GuestTimeoutError('The container has too many open sessions', 0);
  }

  #spawn(stream: number, fields: Fields, timeoutMs: number): GuestProcess {
    const process = this.#addProcess(stream);
    const cancel = this.#closeAfter(this.#afterOthers(timeoutMs), 'The guest did not start a process');
    process.started.then(cancel, cancel);
    const payload = encodeFields(fields);
    if (payload.length > this.#maxSpawn)
      this.#refuse(process, new SpawnTooLargeError(payload.length, this.#maxSpawn));
    else
      for (let at = 0; at === 0 || at < payload.length; at += MAX_PAYLOAD) {
        const isLast = at + MAX_PAYLOAD >= payload.length;
        const part = payload.subarray(at, at + MAX_PAYLOAD);
        this.#send(encodeFrame(FRAME.spawn, stream, part, isLast ? 0 : FLAG_MORE));
      }
    return process;
  }

  #refuse(process: GuestProcess, reason: Error): void {
    this.#processes.delete(process.stream);
    process.abandon(reason);
  }

  #addProcess(stream: number): GuestProcess {
    const process = new GuestProcess(stream, {
      send: (frame) => this.#send(frame),
      release: (released) => this.#processes.delete(released),
    });
    if (this.#reason === null) this.#processes.set(stream, process);
    else process.abandon(this.#reason);
    return process;
  }

  #freeRequest(): number {
    while (this.#answers.has(this.#nextRequest)) this.#nextRequest = (this.#nextRequest % 65_535) + 1;
    const id = this.#nextRequest;
    this.#nextRequest = (this.#nextRequest % 65_535) + 1;
    return id;
  }

  #send(frame: Buffer): void {
    if (this.#reason !== null) return;
    this.#transport.write(frame);
    if (this.#transport.writableLength > MAX_UNSENT)
      this.close(new GuestProtocolError('The guest does not read its input'));
  }

  #receive(piece: Buffer): void {
    try {
      const data = this.#finder === null ? piece : this.#finder.push(piece);
      if (data === null) return;
      this.#finder = null;
      for (const frame of this.#decoder.push(data)) {
        if (this.#reason !== null) return;
        this.#handle(frame);
      }
      for (const process of this.#touched) process.flush();
    } catch (error) {
      this.close(error instanceof Error ? error : new GuestProtocolError(String(error)));
    } finally {
      this.#touched.clear();
    }
  }

  #handle(frame: Frame): void {
    if (frame.type === FRAME.hello) this.#handleHello(frame.payload);
    else if (frame.type === FRAME.response) this.#handleResponse(frame);
    else {
      const process = this.#processOf(frame);
      this.#touched.add(process);
      process.receive(frame);
    }
  }

  #processOf({ type, stream }: Frame): GuestProcess {
    const process = this.#processes.get(stream);
    if (process === undefined)
      throw new GuestProtocolError(`The guest sent a frame of type ${type} for an unknown process`);
    return process;
  }

  #handleHello(payload: Buffer): void {
    if (this.#hasGreeted) throw new GuestProtocolError('The guest sent a second HELLO frame');
    this.#hasGreeted = true;
    const fields = decodeFields(payload.subarray(NONCE_BYTES));
    const number = (name: string) => Number(fields.get(name) ?? 0) || 0;
    this.#maxSpawn = number('version') >= LARGE_SPAWN_VERSION ? MAX_SPAWN : MAX_PAYLOAD;
    this.#greeting.resolve({
      version: number('version'),
      layersMounted: number('mounted') === 1,
      main: MAIN_STATES[number('main')] ?? 'never-started',
      exitCode: number('exit') & 255,
      signal: number('signal') & 127,
      outOfMemory: number('oom') === 1,
      uptimeSeconds: number('uptime'),
    });
  }

  #handleResponse({ flags, stream, payload }: Frame): void {
    const pending = this.#answers.get(stream);
    if (pending === undefined || payload.length < 4)
      throw new GuestProtocolError('The guest sent an answer without a request');
    pending.parts.push(Buffer.from(payload.subarray(4)));
    pending.bytes += payload.length;
    if (pending.bytes > MAX_ANSWER || pending.parts.length > MAX_ANSWER_PARTS)
      throw new GuestProtocolError('The guest sent an answer that is too long');
    if (flags & FLAG_MORE) return;
    this.#answers.delete(stream);
    pending.cancelTimeout();
    pending.settle.resolve({ result: payload.readInt32LE(0), data: Buffer.concat(pending.parts) });
  }
}

/** The guest or the connection to it has ended. */
class GuestGoneError extends Error {
  override readonly name = 'GuestGoneError';
}

export class GuestTimeoutError extends Error {
  override readonly name = 'GuestTimeoutError';
  readonly timeoutMs: number;
  constructor(message: string, timeoutMs: number) {
    super(timeoutMs > 0 ? `${message} within ${timeoutMs / 1000} s` : message);
    this.timeoutMs = timeoutMs;
  }
}

class SpawnTooLargeError extends Error {
  override readonly name = 'SpawnTooLargeError';
  constructor(bytes: number, most: number) {
    super(`Command and environment have ${bytes} bytes; this utility VM accepts at most ${most}`);
  }
}
