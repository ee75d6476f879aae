import type { RefusalReason } from '../../core/contract/agent/signed.ts';
import type { OperationStep } from '../../core/contract/operation.ts';
import type { HostSessionMessage } from '../../core/contract/session.ts';
import { type Cancel, type Clock, nothingToCancel } from '../clock.ts';
import { messageOf } from '../errors.ts';
import type { Log } from '../log.ts';
import { AgentConnection, type AgentConnectionDeps } from './agent-connection.ts';
import { fullJitter, RECONNECT } from './backoff.ts';
import type { Transport, TransportHandlers } from './transport.ts';

interface LinkDeps extends Omit<AgentConnectionDeps, 'onReady' | 'onIncompatible'> {
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Log;
  /** The control plane has accepted a new connection. */
  readonly onConnected: () => void;
  /** Opens a transport with a new host token. Rejects if the attempt cannot start. */
  readonly dial: (handlers: TransportHandlers) => Promise<Transport>;
}

/** A connection that gets no welcome within this time is closed, in milliseconds. */
const WELCOME_TIMEOUT_MS = 60_000;

/**
 * Keeps the host connected to the control plane: connects, and reconnects indefinitely with full jitter. A welcome
 * resets the count of failures, an open socket does not: a control plane that accepts connections only to close them
 * still gets growing pauses. A connection never starts or stops a container.
 */
export class Link {
  readonly #deps: LinkDeps;
  #connection: AgentConnection | null = null;
  #transport: Transport | null = null;
  #failures = 0;
  #stopped = false;
  #cancelRetry: Cancel = nothingToCancel;
  #cancelWelcome: Cancel = nothingToCancel;

  constructor(deps: LinkDeps) {
    this.#deps = deps;
  }

  start(): void {
    this.#dial().catch((error: unknown) => this.#reconnectLater(messageOf(error)));
  }

  /** Closes the connection. Unacknowledged results stay in the journal. */
  stop(): void {
    this.#stopped = true;
    this.#cancelRetry();
    this.#cancelWelcome();
    this.#connection?.close();
    this.#transport?.close();
  }

  sendResult(commandId: string): void {
    this.#connection?.sendResult(commandId);
  }

  sendProgress(commandId: string, steps: readonly OperationStep[]): void {
    this.#connection?.sendProgress(commandId, steps);
  }

  sendRefusal(commandId: string, reason: RefusalReason): void {
    this.#connection?.sendRefusal(commandId, reason);
  }

  /** Sends another hello on the current connection. */
  sendHello(): void {
    this.#connection
      ?.sendHello()
      .catch((error: unknown) => this.#deps.log.error('could not send a hello', { cause: messageOf(error) }));
  }

  /** Dropped while there is no connection: a session sends its messages again. */
  sendSessionMessage(message: HostSessionMessage): void {
    this.#connection?.sendSessionMessage(message);
  }

  /** Changes without a connection are part of the next hello. */
  report(what: { containerId?: string; images?: boolean }): void {
    this.#connection?.report(what);
  }

  async #dial(): Promise<void> {
    const { log } = this.#deps;
    const transport = await this.#deps.dial({
      onOpen: () => {
        connection.sendHello().catch((error: unknown) => {
          log.error('could not send a hello', { cause: messageOf(error) });
          transport.close();
        });
      },
      onMessage: (text) => connection.receive(text),
      onClose: (why) => {
        connection.close();
        this.#reconnectLater(why);
      },
    });
    const connection = new AgentConnection(
      {
        ...this.#deps,
        onReady: () => this.#connected(),
        onIncompatible: () => transport.close(),
      },
      (message) => transport.send(message),
    );
    this.#connection = connection;
    this.#transport = transport;
    if (this.#stopped) return transport.close();
    this.#cancelWelcome = this.#deps.clock.after(WELCOME_TIMEOUT_MS, () => {
      log.warn('the control plane did not answer the hello');
      transport.close();
    });
  }

  #connected(): void {
    this.#failures = 0;
    this.#cancelWelcome();
    this.#deps.log.info('connected to the control plane');
    this.#deps.onConnected();
  }

  #reconnectLater(why: string): void {
    this.#cancelWelcome();
    this.#connection = null;
    this.#transport = null;
    if (this.#stopped) return;
    const waitMs = fullJitter(this.#failures, RECONNECT, this.#deps.random);
    this.#failures += 1;
    this.#deps.log.warn('not connected to the control plane; containers keep running', {
      cause: why,
      nextTryInMs: Math.round(waitMs),
    });
    this.#cancelRetry = this.#deps.clock.after(waitMs, () => this.start());
  }
}
