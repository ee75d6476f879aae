import type { Clock } from '../clock.ts';
import { resendAfter } from './backoff.ts';

interface ResenderDeps {
  readonly clock: Clock;
  readonly random: () => number;
  readonly send: (message: Buffer) => void;
}

/** Longest time without a repetition while other messages are settled, in milliseconds. */
const LONGEST_WAIT_MS = 10_000;

/**
 * Repeats messages on one connection, with growing pauses, until each is settled.
 *
 * A pause counts from the last time that any message was settled. While messages are settled, the others are still in a
 * queue of the control plane, and each repetition would make it longer.
 */
export class Resender {
  readonly #deps: ResenderDeps;
  readonly #pending = new Map<string, () => void>();
  #settledAt = Number.NEGATIVE_INFINITY;

  constructor(deps: ResenderDeps) {
    this.#deps = deps;
  }

  /** Sends the message now, and until `settle` is called with its id. One of the same id is replaced. */
  put(messageId: string, message: Buffer): void {
    this.#forget(messageId);
    this.#attempt(messageId, message, 0);
  }

  /** The message has arrived or is obsolete. Returns whether it was pending. */
  settle(messageId: string): boolean {
    const isPending = this.#forget(messageId);
    if (isPending) this.#settledAt = this.#deps.clock.monotonicMs();
    return isPending;
  }

  /** The connection has ended: nothing more is sent. */
  clear(): void {
    for (const cancel of this.#pending.values()) cancel();
    this.#pending.clear();
  }

  #forget(messageId: string): boolean {
    this.#pending.get(messageId)?.();
    return this.#pending.delete(messageId);
  }

  #attempt(messageId: string, message: Buffer, attempt: number): void {
    const { clock, random, send } = this.#deps;
    const sentAt = clock.monotonicMs();
    const pauseMs = resendAfter(attempt, random);
    const waitUntil = (at: number): void => {
      const cancel = clock.after(Math.max(0, at - clock.monotonicMs()), () => {
        const next = Math.min(this.#settledAt + pauseMs, sentAt + Math.max(pauseMs, LONGEST_WAIT_MS));
        if (next > clock.monotonicMs()) waitUntil(next);
        else this.#attempt(messageId, message, attempt + 1);
      });
      this.#pending.set(messageId, cancel);
    };
    waitUntil(sentAt + pauseMs);
    send(message);
  }
}
