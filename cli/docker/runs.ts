import { itemsOf, ProblemError } from '../../core/client/index.ts';
import type { Container } from '../../core/contract/container.ts';
import type { SignalName } from '../../core/contract/session.ts';
import { openContainerSession, type SessionStream } from '../session.ts';
import { type Bridge, isNotFound } from './bridge.ts';
import { untilExit } from './exits.ts';
import { showLog } from './show-log.ts';
import { showSession } from './show-session.ts';
import type { ClientStream, Joining } from './streams.ts';
import { AUTO_REMOVE_LABEL } from './translate/labels.ts';

/**
 * What the bridge knows of containers beside the API, in memory only.
 *
 * docker attaches before it starts: a client that comes to a container that doesn't run waits here until `started`.
 * Then it is shown the main process from its first byte on: by a session, and where there is none to be had, or it
 * breaks off, by its log. On a terminal, what broke off is over.
 * `run --rm`: removed once it has ended and what it wrote has been sent on.
 */
interface From {
  /** Where in the log it begins, for who has no terminal; undefined: where this run began. */
  readonly logFrom: string | undefined;
  /** Whether what was written before they came is seen. */
  readonly logs: boolean;
}

interface Waiting {
  readonly client: ClientStream;
  readonly joining: Joining;
}

export class Runs {
  readonly #bridge: Bridge;
  readonly #waiting = new Map<string, Waiting[]>();
  readonly #sessions = new Map<string, Set<SessionStream>>();
  readonly #sizes = new Map<string, { readonly columns: number; readonly rows: number }>();
  readonly #inputs = new Set<string>();
  /** Clients that are still being sent what a container has written. */
  readonly #draining = new Map<string, Set<Promise<void>>>();

  readonly #closing: AbortSignal;

  /** @param closing aborts when the bridge is ended */
  constructor(bridge: Bridge, closing: AbortSignal) {
    this.#bridge = bridge;
    this.#closing = closing;
  }

  keepsInput(id: string): void {
    this.#inputs.add(id);
  }

  hasInput(id: string): boolean {
    return this.#inputs.has(id);
  }

  /** A client that wants to see a container which does not run yet. */
  waitForStart(id: string, client: ClientStream, joining: Joining): void {
    const waiting = { client, joining };
    this.#waiting.set(id, [...(this.#waiting.get(id) ?? []), waiting]);
    void client.closed.then(() => {
      const others = (this.#waiting.get(id) ?? []).filter((one) => one !== waiting);
      if (others.length === 0) this.#waiting.delete(id);
      else this.#waiting.set(id, others);
    });
  }

  /**
   * Where the log of a container ends before it is started anew: what an earlier run wrote is not shown to those who
   * wait for the next. Undefined where nobody waits, or nothing has run.
   */
  async logEnd({ id, exitCode }: Container): Promise<string | undefined> {
    if (exitCode === null || !this.#waiting.has(id)) return undefined;
    return this.#logEndOf(id);
  }

  /** It runs, or has run: whoever waited is joined to it. @param logFrom where the log of this run begins */
  started(container: Container, logFrom: string | undefined): void {
    const waiting = this.#waiting.get(container.id) ?? [];
    this.#waiting.delete(container.id);
    for (const { client, joining } of waiting)
      this.#show(container, client, joining, { logFrom, logs: true });
    if (container.labels[AUTO_REMOVE_LABEL] !== undefined) void this.#removeAtEnd(container);
  }

  /** It could not be started: whoever waited sees its end, and one of `run --rm` is not kept. */
  notStarted(container: Container): void {
    for (const { client } of this.#waiting.get(container.id) ?? []) client.end();
    this.#waiting.delete(container.id);
    if (container.labels[AUTO_REMOVE_LABEL] !== undefined) void this.#removeAtEnd(container);
  }

  /** After the bridge was ended and started again: what it would have removed is removed. */
  async removeLeftovers(): Promise<void> {
    const labelled = { query: { label: [`${AUTO_REMOVE_LABEL}=true`], limit: '200' } };
    for await (const container of itemsOf(this.#bridge.client, 'listContainers', labelled))
      if (container.exitCode !== null || container.state === 'Running') void this.#removeAtEnd(container);
  }

  /** A client that wants to see a container which runs: what it writes from now on, or from its beginning. */
  async attach(container: Container, client: ClientStream, joining: Joining, logs: boolean): Promise<void> {
    const from = logs || container.tty ? undefined : await this.#logEndOf(container.id);
    this.#show(container, client, joining, { logFrom: from, logs });
  }

  resize(id: string, columns: number, rows: number): void {
    this.#sizes.set(id, { columns, rows });
    for (const session of this.#sessions.get(id) ?? []) session.resize(columns, rows);
  }

  /** Sends a signal to the main process, over a session that is there or one for the purpose. */
  async signal(container: Container, name: SignalName): Promise<void> {
    const [session] = this.#sessions.get(container.id) ?? [];
    if (session !== undefined) {
      session.signal(name);
      return;
    }
    const { client, settings } = this.#bridge;
    const fresh = await openContainerSession(client, settings, container.id, { attach: true });
    fresh.signal(name);
    await Promise.race([fresh.exit, new Promise((resolve) => setTimeout(resolve, SIGNAL_MS))]);
    fresh.close();
  }

  #show(container: Container, client: ClientStream, joining: Joining, from: From): void {
    const shown = this.#join(container, client, joining, from).finally(() => client.end());
    this.#keep(container.id, shown);
  }

  #keep(id: string, shown: Promise<void>): void {
    const kept = this.#draining.get(id) ?? new Set();
    this.#draining.set(id, kept);
    const settled = shown
      .catch((error: unknown) => this.#bridge.settings.log(`attach to ${id}: ${String(error)}`))
      .finally(() => {
        kept.delete(settled);
        if (kept.size === 0) this.#draining.delete(id);
      });
    kept.add(settled);
  }

  async #join(container: Container, client: ClientStream, joining: Joining, from: From): Promise<void> {
    const shown = { containerId: container.id, client, joining, cursor: from.logFrom };
    const session = await this.#open(container, from).catch((error: unknown) => {
      // It was over before anybody could join it: its log has all that there is. So it has where no session is to be had.
      if (!isOver(error)) this.#bridge.settings.log(`No session with ${container.name}: ${String(error)}`);
      return undefined;
    });
    const seen = { stdout: 0, stderr: 0 };
    if (session === undefined) return showLog(this.#bridge, shown, seen);
    const sessions = this.#sessions.get(container.id) ?? new Set();
    this.#sessions.set(container.id, sessions.add(session));
    try {
      const size = this.#sizes.get(container.id);
      if (size !== undefined) session.resize(size.columns, size.rows);
      const { isWhole } = await showSession(this.#bridge, shown, session, seen);
      if (isWhole || container.tty) return;
    } finally {
      sessions.delete(session);
      if (sessions.size === 0) this.#sessions.delete(container.id);
    }
    await showLog(this.#bridge, shown, seen);
  }

  #open({ id, tty }: Container, { logs, logFrom }: From): Promise<SessionStream> {
    const { client, settings } = this.#bridge;
    const from = logFrom === undefined || tty ? (logs ? { logs } : {}) : { cursor: logFrom };
    // As in docker, the process waits for who is attached to it.
    const pace = tty ? {} : { paced: true };
    return openContainerSession(client, settings, id, { attach: true, ...from, ...pace });
  }

  async #logEndOf(id: string): Promise<string> {
    const request = { params: { idOrName: id }, query: { tail: '0' } };
    return (await this.#bridge.client.call('getContainerLogs', request)).nextCursor;
  }

  async #removeAtEnd(container: Container): Promise<void> {
    const { client, settings } = this.#bridge;
    try {
      const { exitCode } = await untilExit(this.#bridge, container.id, {
        after: null,
        signal: this.#closing,
      });
      this.#bridge.keepExitCode(container.id, exitCode);
      await Promise.all(this.#draining.get(container.id) ?? []);
      await client.call('removeContainer', { params: { idOrName: container.id } });
    } catch (error) {
      if (!isNotFound(error) && !this.#closing.aborted)
        settings.log(`removing ${container.name} after its end: ${String(error)}`);
    }
  }
}

const SIGNAL_MS = 500;

const isOver = (error: unknown): boolean =>
  error instanceof ProblemError && (error.code === 'invalid-state' || error.code === 'process-exited');
