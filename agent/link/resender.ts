import type { Clock } from '../clock.ts';
import { resendAfter } from './backoff.ts';

interface ResenderDeps {
  readonly clock: Clock;
  readonly random: () => number;
  readonly send: (message: Buffer) => void;
}

/** Repeats messages on one connection, with growing pauses, until each is settled. */
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

  /** The message has arrived or is obsolete. Returns whether it was pending. */
  settle(messageId: string): boolean {
    this.#pending.get(messageId)?.();
    return this.#pending.delete(messageId);
  }

  /** The connection has ended: nothing more is sent. */
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
