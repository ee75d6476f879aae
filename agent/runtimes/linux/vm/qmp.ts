import type { Socket } from 'node:net';
import * as z from 'zod/mini';
import { RuntimeError } from '../../../errors.ts';

const MAX_LINE = 1024 * 1024;
const MessageSchema = z.looseObject({
  return: z.optional(z.unknown()),
  error: z.optional(z.looseObject({ desc: z.string() })),
  event: z.optional(z.string()),
  data: z.optional(z.unknown()),
  id: z.optional(z.number()),
});

/**
 * QEMU's machine protocol over an open socket, with one JSON document per line.
 * Source: docs/interop/qmp-spec of QEMU.
 */
export class Qmp {
  readonly #socket: Socket;
  readonly #pending = new Map<number, PromiseWithResolvers<unknown>>();
  #buffer = '';
  #next = 1;
  #ended: Error | null = null;

  /** Resolves once QEMU accepts commands. */
  static async open(socket: Socket): Promise<Qmp> {
    const qmp = new Qmp(socket);
    await qmp.execute('qmp_capabilities');
    return qmp;
  }

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', (chunk) => this.#receive(chunk.toString()));
    socket.once('error', (error) => this.#end(error));
    socket.once('close', () =>
      this.#end(new RuntimeError('step-failed', 'The utility VM’s process has ended')),
    );
  }

  /** Rejects with a `RuntimeError` with QEMU's message. */
  execute(command: string, args: Readonly<Record<string, unknown>> = {}): Promise<unknown> {
    if (this.#ended) return Promise.reject(this.#ended);
    const id = this.#next++;
    const pending = Promise.withResolvers<unknown>();
    this.#pending.set(id, pending);
    this.#socket.write(`${JSON.stringify({ execute: command, arguments: args, id })}\n`);
    return pending.promise;
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
    const { error } = message.data;
    if (error) pending.reject(new RuntimeError('step-failed', `QEMU: ${error.desc}`));
    else pending.resolve(message.data.return);
  }

  #end(reason: Error): void {
    if (this.#ended) return;
    this.#ended = reason;
    for (const pending of this.#pending.values()) pending.reject(reason);
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
