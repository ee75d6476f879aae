/**
 * One client's open WebSocket.
 *
 * Opened when the functions behind `$connect` have accepted it. Ends once: by the client, by `@connections`, by a limit
 * (frame or message size, binary data, idle time, age) or with the API. Once it ends it accepts and sends no messages,
 * although the closing handshake is still in progress.
 */
import type { Duplex } from 'node:stream';
import { WebSocket } from 'ws';
import type { ApiGatewayLimits } from '../api-gateway/definition.ts';
import type { Clock } from '../engine.ts';
import type { AuthorizerContext, ConnectionFacts } from './events.ts';
import { FrameMeter } from './frame-meter.ts';

export interface ConnectionEnd {
  readonly code: number;
  readonly reason: string;
}

export interface ConnectionDeps {
  readonly clock: Clock;
  readonly limits: ApiGatewayLimits;
  onMessage(connection: Connection, body: string): void;
  onEnd(connection: Connection, end: ConnectionEnd): void;
}

/** Time for a client to answer the closing handshake. */
const CLOSING_MS = 1_000;

const GOING_AWAY: ConnectionEnd = { code: 1001, reason: 'Going away' };

/** API Gateway's texts for `disconnectReason`. */
const REASONS: Readonly<Record<number, string>> = {
  1000: 'Connection Closed Normally',
  1001: 'Going away',
  1005: 'Client-side close frame status not set',
  1006: 'Connection Closed Abnormally',
  1009: 'Message too long',
};

export class Connection {
  readonly facts: ConnectionFacts;
  readonly authorizer: AuthorizerContext | undefined;
  readonly #socket: WebSocket;
  readonly #deps: ConnectionDeps;
  readonly #timers: (() => void)[] = [];
  #lastActiveAt: number;
  #decided: ConnectionEnd | undefined;

  /** @param raw the stream below `socket` */
  constructor(
    facts: ConnectionFacts,
    authorizer: AuthorizerContext | undefined,
    { socket, raw }: { readonly socket: WebSocket; readonly raw: Duplex },
    deps: ConnectionDeps,
  ) {
    this.facts = facts;
    this.authorizer = authorizer;
    this.#socket = socket;
    this.#deps = deps;
    this.#lastActiveAt = deps.clock.now();
    this.#watchFrames(raw);
    this.#watchSocket();
    this.#timers.push(deps.clock.after(deps.limits.webSocketDurationMs, () => this.end(GOING_AWAY)));
    this.#watchIdleness(deps.limits.webSocketIdleMs);
  }

  /** Milliseconds since 1970. */
  get lastActiveAt(): number {
    return this.#lastActiveAt;
  }

  get isOpen(): boolean {
    return this.#decided === undefined && this.#socket.readyState === WebSocket.OPEN;
  }

  /** Sends in frames of at most 32 KB. @returns whether the message was sent */
  send(body: Buffer): Promise<boolean> {
    if (!this.isOpen) return Promise.resolve(false);
    this.#lastActiveAt = this.#deps.clock.now();
    const frame = this.#deps.limits.webSocketFrameBytes;
    const sent = Promise.withResolvers<boolean>();
    for (let from = 0; from === 0 || from < body.length; from += frame) {
      const fin = from + frame >= body.length;
      this.#socket.send(body.subarray(from, from + frame), { binary: false, fin }, (error) => {
        if (error) sent.resolve(false);
        else if (fin) sent.resolve(true);
      });
    }
    return sent.promise;
  }

  /** Closes with a handshake, or without one if the client does not answer. Only the first call has an effect. */
  end(end: ConnectionEnd): void {
    if (this.#decided !== undefined) return;
    this.#decided = end;
    this.#socket.close(end.code, end.reason);
    this.#timers.push(this.#deps.clock.after(CLOSING_MS, () => this.#socket.terminate()));
  }

  terminate(): void {
    this.#socket.terminate();
  }

  /** Checks the bytes before `ws` does, which would pass on a message whose frame was too large. */
  #watchFrames(raw: Duplex): void {
    const meter = new FrameMeter(this.#deps.limits.webSocketFrameBytes);
    const watch = (chunk: Buffer): void => {
      this.#lastActiveAt = this.#deps.clock.now();
      if (!meter.exceeds(chunk)) return;
      raw.off('data', watch);
      this.end({ code: 1009, reason: REASONS[1009] ?? '' });
    };
    raw.prependListener('data', watch);
  }

  #watchSocket(): void {
    const socket = this.#socket;
    socket.on('message', (data: Buffer, isBinary: boolean) => {
      if (!this.isOpen) return;
      if (isBinary) this.end({ code: 1003, reason: 'Binary frames are not supported' });
      else this.#deps.onMessage(this, data.toString('utf8'));
    });
    // `ws` closes on its own if a message is too large or the bytes are not valid WebSocket frames.
    socket.on('error', (error: Error & { code?: string }) => {
      const isTooLong = error.code === 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH';
      this.#decided ??= isTooLong
        ? { code: 1009, reason: REASONS[1009] ?? '' }
        : { code: 1002, reason: 'Protocol error' };
    });
    socket.once('close', (code, reason) => {
      for (const cancel of this.#timers) cancel();
      const given = { code, reason: reason.toString() || REASONS[code] || '' };
      const end = this.#decided ?? given;
      this.#decided = end;
      this.#deps.onEnd(this, end);
    });
  }

  #watchIdleness(idleMs: number, waitMs = idleMs): void {
    const cancel = this.#deps.clock.after(waitMs, () => {
      const left = this.#lastActiveAt + idleMs - this.#deps.clock.now();
      if (left <= 0) this.end(GOING_AWAY);
      else this.#watchIdleness(idleMs, left);
    });
    this.#timers[1] = cancel;
  }
}
