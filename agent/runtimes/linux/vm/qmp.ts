import type { Socket } from 'node:net';
import * as z from 'zod/mini';
import type { Cancel, Clock } from '../../../clock.ts';
import { RuntimeError } from '../../../errors.ts';

const MAX_LINE = 1024 * 1024;
/** Time limit for an answer. QEMU answers every command that the agent sends at once, unless it hangs. */
export const QMP_TIMEOUT_MS = 30_000;
const MessageSchema = z.looseObject({
  return: z.optional(z.unknown()),
  error: z.optional(z.looseObject({ desc: z.string() })),
  event: z.optional(z.string()),
  data: z.optional(z.unknown()),
  id: z.optional(z.number()),
});

interface Pending {
  readonly settle: PromiseWithResolvers<unknown>;
  readonly cancelTimeout: Cancel;
}

/**
 * QEMU's machine protocol over an open socket, with one JSON document per line. If QEMU does not answer in time, the connection
 * ends, so that no caller waits indefinitely.
 * Source: docs/interop/qmp-spec of QEMU.
 */
export class Qmp {
  readonly #socket: Socket;
  readonly #clock: Pick<Clock, 'after'>;
  readonly #pending = new Map<number, Pending>();
  #buffer = '';
  #next = 1;
  #ended: Error | null = null;

  /** Resolves once QEMU accepts commands. */
  static async open(socket: Socket, clock: Pick<Clock, 'after'>, timeoutMs = QMP_TIMEOUT_MS): Promise<Qmp> {
    const qmp = new Qmp(socket, clock);
    await qmp.execute('qmp_capabilities', {}, timeoutMs);
    return qmp;
  }

  private constructor(socket: Socket, clock: Pick<Clock, 'after'>) {
    this.#socket = socket;
    this.#clock = clock;
    socket.on('data', (chunk) => this.#receive(chunk.toString()));
    socket.once('error', (error) => this.#end(error));
    socket.once('close', () =>
      this.#end(new RuntimeError('step-failed', 'The utility VM’s process has ended')),
    );
  }

  /** Rejects with a `RuntimeError` with QEMU's message. */
  execute(
    command: string,
    args: Readonly<Record<string, unknown>> = {},
    timeoutMs = QMP_TIMEOUT_MS,
  ): Promise<unknown> {
    if (this.#ended) return Promise.reject(this.#ended);
    const id = this.#next++;
    const settle = Promise.withResolvers<unknown>();
    const cancelTimeout = this.#clock.after(timeoutMs, () => this.#timeOut(command, timeoutMs));
    this.#pending.set(id, { settle, cancelTimeout });
    this.#socket.write(`${JSON.stringify({ execute: command, arguments: args, id })}\n`);
    return settle.promise;
  }

  #timeOut(command: string, timeoutMs: number): void {
    const reason = `The utility VM’s process did not answer ${command} within ${timeoutMs / 1_000} s`;
    this.#end(new RuntimeError('step-failed', reason));
    this.#socket.destroy();
  }

  close(): void {
    this.#socket.destroy();
  }

  #receive(text: string): void {
    this.#buffer += text;
    if (this.#buffer.length > MAX_LINE) return void this.#socket.destroy();
    const lines = this.#buffer.split('\n');
    this.#buffer = lines.pop() ?? '';
    for (const line of lines.filter((one) => one.trim() !== '')) this.#handle(line);
  }

  /** Code in the guest may have compromised QEMU, so a line that is not JSON closes the connection. */
  #handle(line: string): void {
    const message = MessageSchema.safeParse(parseJson(line));
    if (!message.success) return void this.#socket.destroy();
    const { id } = message.data;
    const pending = id === undefined ? undefined : this.#pending.get(id);
    if (id === undefined || pending === undefined) return;
    this.#pending.delete(id);
    pending.cancelTimeout();
    const { error } = message.data;
    if (error) pending.settle.reject(new RuntimeError('step-failed', `QEMU: ${error.desc}`));
    else pending.settle.resolve(message.data.return);
  }

  #end(reason: Error): void {
    if (this.#ended) return;
    this.#ended = reason;
    for (const { settle, cancelTimeout } of this.#pending.values()) {
      cancelTimeout();
      settle.reject(reason);
    }
    this.#pending.clear();
  }
}

/** Returns undefined if the line is not JSON, which no message schema accepts. */
const parseJson = (line: string): unknown => {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
};
