import type { ObservedContainer } from '../../core/contract/agent/commands.ts';
import { type ControlMessage, PROTOCOL_VERSION } from '../../core/contract/agent/messages.ts';
import type { RefusalReason, Signed } from '../../core/contract/agent/signed.ts';
import type { HostFacts } from '../../core/contract/host.ts';
import type { ImageFacts } from '../../core/contract/image.ts';
import type { OperationStep } from '../../core/contract/operation.ts';
import type { HostSessionMessage, ToHostSessionMessage } from '../../core/contract/session.ts';
import type { KeyIntroduction } from '../authenticity/authenticity.ts';
import { type Cancel, type Clock, nothingToCancel } from '../clock.ts';
import { messageOf } from '../errors.ts';
import { fitResult } from '../execute/command-result.ts';
import type { Log } from '../log.ts';
import type { AgentState } from '../state/agent-state.ts';
import {
  divideObserved,
  encode,
  encodeResult,
  imagesAfter,
  RESULT_BYTES,
  refusalMessageId,
  resultMessageId,
} from './outgoing.ts';
import { readControlMessage } from './read-message.ts';
import { Resender } from './resender.ts';

export interface AgentConnectionDeps {
  readonly agentVersion: string;
  readonly state: Pick<AgentState, 'command' | 'unacknowledged' | 'acknowledge'>;
  readonly clock: Clock;
  readonly random: () => number;
  readonly newId: () => string;
  readonly log: Log;
  readonly facts: () => Promise<HostFacts>;
  readonly images: () => Promise<readonly ImageFacts[]>;
  readonly observeAll: () => Promise<ObservedContainer[]>;
  readonly observe: (containerId: string) => Promise<ObservedContainer>;
  readonly inProgress: () => string[];
  /** The newest trusted key of the control plane; undefined if there is none. */
  readonly commandKey: () => string | undefined;
  /** A command message; the signature is not verified yet. */
  readonly onCommand: (signed: Signed) => void;
  readonly onUnsignedCommand: (commandId: string) => void;
  /** The keys in the welcome to a hello. */
  readonly onKeys: (helloId: string, introduction: KeyIntroduction) => void;
  readonly onSessionMessage: (message: ToHostSessionMessage) => void;
  /** The control plane has accepted this connection. */
  readonly onReady: () => void;
  /** The control plane uses an unknown protocol version. */
  readonly onIncompatible: () => void;
}

/** Maximum number of command ids in one heartbeat: fits into a message for ids of any length. */
const IDS_A_HEARTBEAT = 500;
/** Wait before another observation after a failed one, in milliseconds. */
const RETRY_MS = 5_000;
/** Maximum number of unacknowledged reports of refused commands; more are only logged. */
const MAX_REFUSALS = 50;

/**
 * The messages of one connection to the control plane.
 *
 * opened → hello sent, until welcomed → welcomed: results, observations and heartbeats flow → closed.
 *
 * 1. Only the hello is sent before the welcome, so that the control plane knows the host's actual state first.
 * 2. A result is repeated until it is acknowledged. After a reconnect, the next connection repeats it from the journal.
 * 3. At most one `observed` is in transit, created when it is sent: reports are never reordered, and several changes in the
 *    meantime are one report. The next hello has everything that a lost connection did not deliver.
 * 4. A silent control plane has no effect on containers; messages are only repeated.
 */
export class AgentConnection {
  readonly #deps: AgentConnectionDeps;
  readonly #send: (message: Buffer) => void;
  readonly #resender: Resender;
  readonly #changed = new Set<string>();
  /** By message id: the command whose result was sent. */
  readonly #results = new Map<string, string>();
  /** The name after which images are not reported yet; null: all of them; undefined: none. */
  #imagesAfter: string | null | undefined = undefined;
  readonly #refusals = new Set<string>();
  #helloId: string | null = null;
  #observedId: string | null = null;
  #observing = false;
  #isReady = false;
  #closed = false;
  #cancelHeartbeat: Cancel = nothingToCancel;
  #cancelRetry: Cancel = nothingToCancel;

  constructor(deps: AgentConnectionDeps, send: (message: Buffer) => void) {
    this.#deps = deps;
    this.#send = send;
    this.#resender = new Resender({ clock: deps.clock, random: deps.random, send });
  }

  get isReady(): boolean {
    return this.#isReady;
  }

  async sendHello(): Promise<void> {
    const { facts, images, observeAll, newId, agentVersion } = this.#deps;
    if (this.#helloId !== null) this.#resender.settle(this.#helloId);
    const messageId = newId();
    const commandKey = this.#deps.commandKey();
    this.#helloId = messageId;
    this.#imagesAfter = undefined;
    const part = imagesAfter(await images(), null);
    const hello = {
      action: 'hello' as const,
      messageId,
      protocol: PROTOCOL_VERSION,
      agentVersion,
      facts: await facts(),
      ...part,
      ...(commandKey !== undefined && { commandKey }),
    };
    const taken = encode({ ...hello, observed: [] }).length;
    const { fitting, rest } = divideObserved(await observeAll(), taken);
    if (this.#closed || this.#helloId !== messageId) return;
    for (const { containerId } of rest) this.#changed.add(containerId);
    this.#queueImagesAfter(part.imageRange?.through ?? undefined);
    const partial = rest.length > 0 ? { partial: true } : {};
    this.#resender.put(messageId, encode({ ...hello, observed: fitting, ...partial }));
  }

  sendResult(commandId: string): void {
    if (!this.#isReady || this.#closed) return;
    const result = this.#deps.state.command(commandId)?.result;
    if (!result) return;
    this.#results.set(resultMessageId(commandId), commandId);
    // An agent of an earlier version may have journaled a result that is too large.
    this.#resender.put(resultMessageId(commandId), encodeResult(fitResult(result, RESULT_BYTES)));
  }

  sendProgress(commandId: string, steps: readonly OperationStep[]): void {
    if (this.#isReady && !this.#closed)
      this.#send(encode({ action: 'progress', commandId, steps: [...steps] }));
  }

  /** Repeated until it is acknowledged or the connection ends: a forged command in the table arrives again. */
  sendRefusal(commandId: string, reason: RefusalReason): void {
    const messageId = refusalMessageId(commandId, reason);
    if (!this.#isReady || this.#closed || this.#refusals.has(messageId)) return;
    if (this.#refusals.size >= MAX_REFUSALS) return;
    this.#refusals.add(messageId);
    this.#resender.put(messageId, encode({ action: 'commandRefused', messageId, commandId, reason }));
  }

  sendSessionMessage(message: HostSessionMessage): void {
    if (this.#isReady && !this.#closed) this.#send(Buffer.from(JSON.stringify(message)));
  }

  /** Reports changed containers and images once the last such message has arrived. */
  report({ containerId, images }: { containerId?: string; images?: boolean }): void {
    if (containerId !== undefined) this.#changed.add(containerId);
    if (images) this.#imagesAfter = null;
    this.#guarded(() => this.#sendObserved());
  }

  /** Never throws: a message that cannot be handled now will be repeated. */
  receive(text: string): void {
    const { log, onUnsignedCommand } = this.#deps;
    try {
      const reading = readControlMessage(text);
      if (reading.kind === 'message') this.#handle(reading.message);
      else if (reading.kind === 'unsigned') onUnsignedCommand(reading.commandId);
      else if (reading.kind === 'other-protocol') this.#refuseProtocol(reading.protocol);
      else log.warn('ignored a message of the control plane', { cause: reading.why });
    } catch (error) {
      log.error('could not handle a message of the control plane', { cause: messageOf(error) });
    }
  }

  close(): void {
    this.#closed = true;
    this.#resender.clear();
    this.#cancelHeartbeat();
    this.#cancelRetry();
  }

  #refuseProtocol(protocol: number): void {
    const update = protocol > PROTOCOL_VERSION ? 'the agent' : 'the control plane';
    this.#deps.log.error(
      `the control plane uses protocol version ${protocol}, this agent ${PROTOCOL_VERSION}; update ${update}`,
      { protocol },
    );
    this.#deps.onIncompatible();
  }

  #handle(message: ControlMessage): void {
    switch (message.action) {
      case 'welcome':
        if (message.messageId === this.#helloId) this.#deps.onKeys(message.messageId, message);
        this.#welcome(message.heartbeatSeconds);
        break;
      case 'command':
        this.#deps.onCommand(message);
        break;
      case 'ack':
        this.#settle(message.messageId);
        break;
      case 'inventoryRequest':
        this.#guarded(() => this.sendHello());
        break;
      case 'session':
        this.#deps.onSessionMessage(message);
        break;
      case 'refused':
        this.#refused(message.messageId, message.detail);
        break;
    }
  }

  /** Logged and dropped: it would be refused again. */
  #refused(messageId: string | null, detail: string): void {
    this.#deps.log.error('the control plane refused a message', { messageId, detail: detail.slice(0, 512) });
    if (messageId !== null) this.#settle(messageId);
  }

  #welcome(heartbeatSeconds: number): void {
    if (this.#helloId !== null) this.#resender.settle(this.#helloId);
    if (this.#isReady) return;
    this.#isReady = true;
    this.#deps.onReady();
    for (const { id } of this.#deps.state.unacknowledged()) this.sendResult(id);
    this.#guarded(() => this.#sendObserved());
    this.#startHeartbeat(heartbeatSeconds * 1_000);
  }

  /** The message arrived. A stored result can be pruned later. */
  #settle(messageId: string): void {
    this.#resender.settle(messageId);
    if (messageId === this.#observedId) {
      this.#observedId = null;
      this.#guarded(() => this.#sendObserved());
    }
    this.#refusals.delete(messageId);
    const commandId = this.#results.get(messageId);
    if (commandId !== undefined) this.#deps.state.acknowledge(commandId);
    this.#results.delete(messageId);
  }

  async #sendObserved(): Promise<void> {
    const nothing = this.#changed.size === 0 && this.#imagesAfter === undefined;
    if (!this.#isReady || this.#closed || this.#observing || this.#observedId !== null || nothing) return;
    this.#observing = true;
    const ids = [...this.#changed];
    const after = this.#imagesAfter;
    this.#changed.clear();
    this.#imagesAfter = undefined;
    try {
      await this.#observeAndSend(ids, after);
    } catch (error) {
      for (const id of ids) this.#changed.add(id);
      this.#imagesAfter ??= after;
      this.#cancelRetry = this.#deps.clock.after(RETRY_MS, () => this.report({}));
      throw error;
    } finally {
      this.#observing = false;
    }
  }

  async #observeAndSend(ids: readonly string[], after: string | null | undefined): Promise<void> {
    const { images, observe, newId } = this.#deps;
    const body = after === undefined ? undefined : imagesAfter(await images(), after);
    const seen = await Promise.all(ids.map(observe));
    const message = { action: 'observed' as const, messageId: newId(), observed: [], ...body };
    const { fitting, rest } = divideObserved(seen, encode(message).length);
    if (this.#closed) return;
    this.#queueImagesAfter(body?.imageRange?.through ?? undefined);
    for (const { containerId } of rest) this.#changed.add(containerId);
    this.#observedId = message.messageId;
    this.#resender.put(message.messageId, encode({ ...message, observed: fitting }));
  }

  /** Images that changed in the meantime are sent again, from the first one on. */
  #queueImagesAfter(through: string | undefined): void {
    if (this.#imagesAfter === undefined) this.#imagesAfter = through;
  }

  /** The first heartbeat is at a random time in the interval, so that hosts that connect together spread their heartbeats. */
  #startHeartbeat(intervalMs: number): void {
    const beat = () => {
      this.#sendHeartbeat();
      this.#cancelHeartbeat = this.#deps.clock.after(intervalMs, beat);
    };
    if (this.#deps.inProgress().length > 0) beat();
    else this.#cancelHeartbeat = this.#deps.clock.after(this.#deps.random() * intervalMs, beat);
  }

  #sendHeartbeat(): void {
    const ids = this.#deps.inProgress();
    for (let from = 0; from === 0 || from < ids.length; from += IDS_A_HEARTBEAT)
      this.#send(encode({ action: 'heartbeat', inProgress: ids.slice(from, from + IDS_A_HEARTBEAT) }));
  }

  #guarded(act: () => Promise<void>): void {
    act().catch((error: unknown) =>
      this.#deps.log.error('could not report to the control plane', { cause: messageOf(error) }),
    );
  }
}
