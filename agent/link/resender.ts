import type { Clock } from '../clock.ts';
import { resendAfter } from './backoff.ts';

interface ResenderDeps {
  readonly clock: Clock;
  readonly random: () => number;
  readonly send: (message: Buffer) => void;
}

/** Sends messages on one connection, again and again with growing pauses, until each is settled. */
export class Resender {
  readonly #deps: ResenderDeps;
  readonly #pending = new Map<string, () => void>();

  constructor(deps: ResenderDeps) {
    this.#deps = deps;
  }

  /** Sends the message now, and until `settle` is called with its id. One of the same id is replaced. */
  put(messageId: string, message: Buffer): void {
    this.settle(messageId);
    this.#attempt(messageId, message, 0);
  }

  /** The message has arrived, or need not arrive any more. Returns whether it was waited for. */
  settle(messageId: string): boolean {
    this.#pending.get(messageId)?.();
    return this.#pending.delete(messageId);
  }

  /** The connection is over: nothing is sent any more. */
  clear(): void {
    for (const cancel of this.#pending.values()) cancel();
    this.#pending.clear();
  }

  #attempt(messageId: string, message: Buffer, attempt: number): void {
    const { clock, random, send } = this.#deps;
    this.#pending.set(
      messageId,
      clock.after(resendAfter(attempt, random), () => this.#attempt(messageId, message, attempt + 1)),
    );
    send(message);
  }
}
