import type { RefusalReason } from '../../core/contract/agent/signed.ts';
import type { OperationStep } from '../../core/contract/operation.ts';
import type { HostSessionMessage } from '../../core/contract/session.ts';
import { type Cancel, type Clock, nothingToCancel } from '../clock.ts';
import { messageOf } from '../errors.ts';
import type { Log } from '../log.ts';
import { fullJitter, RECONNECT } from './backoff.ts';
import type { Connection, ConnectionHandlers } from './connection.ts';
import { Session, type SessionDeps } from './session.ts';

export interface LinkDeps extends Omit<SessionDeps, 'onWelcome'> {
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Log;
  /** Dials, proving the host anew each time. Rejects when it cannot even try. */
  /** The control plane has taken a new connection. */
  readonly onWelcomed: () => void;
  readonly dial: (handlers: ConnectionHandlers) => Promise<Connection>;
}

/** A connection without a welcome for so long is given up, in milliseconds. */
const WELCOME_TIMEOUT_MS = 60_000;

/**
 * Keeps a connection to the control plane: dials, and dials again for ever, with full jitter. The count of
 * failures begins anew with a welcome, so that a control plane that takes connections only to cut them is
 * not stormed. Nothing that happens here stops or starts a container.
 */
export class Link {
  readonly #deps: LinkDeps;
  #session: Session | null = null;
  #connection: Connection | null = null;
  #failures = 0;
  #stopped = false;
  #cancelRetry: Cancel = nothingToCancel;
  #cancelWelcome: Cancel = nothingToCancel;

  constructor(deps: LinkDeps) {
    this.#deps = deps;
  }

  start(): void {
    this.#dial().catch((error: unknown) => this.#lost(messageOf(error)));
  }

  /** Says goodbye; what has not been acknowledged waits in the journal. */
  stop(): void {
    this.#stopped = true;
    this.#cancelRetry();
    this.#cancelWelcome();
    this.#session?.close();
    this.#connection?.close();
  }

  sendResult(commandId: string): void {
    this.#session?.sendResult(commandId);
  }

  sendProgress(commandId: string, steps: readonly OperationStep[]): void {
    this.#session?.sendProgress(commandId, steps);
  }

  sendRefusal(commandId: string, reason: RefusalReason): void {
    this.#session?.sendRefusal(commandId, reason);
  }

  /** Says hello again on the connection that there is. */
  sayHello(): void {
    this.#session
      ?.sayHello()
      .catch((error: unknown) => this.#deps.log.error('could not say hello', { cause: messageOf(error) }));
  }

  /** Lost without a connection: sessions send again by themselves. */
  sendSession(message: HostSessionMessage): void {
    this.#session?.sendSession(message);
  }

  /** What changes while there is no connection is in the next one's hello. */
  report(what: { containerId?: string; images?: boolean }): void {
    this.#session?.report(what);
  }

  async #dial(): Promise<void> {
    const { log } = this.#deps;
    const connection = await this.#deps.dial({
      onOpen: () => {
        session.sayHello().catch((error: unknown) => {
          log.error('could not say hello', { cause: messageOf(error) });
          connection.close();
        });
      },
      onMessage: (text) => session.read(text),
      onClose: (why) => {
        session.close();
        this.#lost(why);
      },
    });
    const session = new Session({ ...this.#deps, onWelcome: () => this.#welcomed() }, (message) =>
      connection.send(message),
    );
    this.#session = session;
    this.#connection = connection;
    if (this.#stopped) return connection.close();
    this.#cancelWelcome = this.#deps.clock.after(WELCOME_TIMEOUT_MS, () => {
      log.warn('the control plane did not welcome the host');
      connection.close();
    });
  }

  #welcomed(): void {
    this.#failures = 0;
    this.#cancelWelcome();
    this.#deps.log.info('connected to the control plane');
    this.#deps.onWelcomed();
  }

  #lost(why: string): void {
    this.#cancelWelcome();
    this.#session = null;
    this.#connection = null;
    if (this.#stopped) return;
    const waitMs = fullJitter(this.#failures, RECONNECT, this.#deps.random);
    this.#failures += 1;
    this.#deps.log.warn('not connected to the control plane; containers go on running', {
      cause: why,
      nextTryInMs: Math.round(waitMs),
    });
    this.#cancelRetry = this.#deps.clock.after(waitMs, () => this.start());
  }
}
