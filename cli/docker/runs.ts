import { itemsOf, ProblemError } from '../../core/client/index.ts';
import type { Container, ContainerSummary } from '../../core/contract/container.ts';
import type { SessionRequest, SignalName } from '../../core/contract/session.ts';
import { openContainerSession, type SessionStream } from '../session.ts';
import { type Bridge, isNotFound } from './bridge.ts';
import { type Exit, waitForExit } from './exits.ts';
import { type SentBytes, showLog } from './show-log.ts';
import { showSession } from './show-session.ts';
import type { AttachedStreams, ClientStream } from './streams.ts';
import { AUTO_REMOVE_LABEL } from './translate/labels.ts';
import { FAILED_TO_START } from './translate/state.ts';

/**
 * The bridge's own state of containers, in memory only.
 *
 * docker attaches before it starts a container. A client of a container that is not running gets a session that waits on the
 * host for the start. If that session cannot be opened, the client waits here until `started`, and then gets a session of the
 * running process, or the log if it has ended already. If a session breaks, the client continues from the log; with a terminal,
 * the attach ends.
 * A container of `run --rm` is removed after it has ended and its output was sent.
 */
interface From {
  /** Start position in the log, without a terminal; undefined: the start of this run. */
  readonly logFrom: string | undefined;
  /** Whether the client also gets earlier output. */
  readonly logs: boolean;
}

interface Waiting {
  readonly container: Container;
  readonly client: ClientStream;
  readonly started: PromiseWithResolvers<From>;
}

/** A client, and what it is attached to. */
interface Attachment {
  readonly container: Container;
  readonly client: ClientStream;
  readonly attached: AttachedStreams;
}

export class Runs {
  readonly #bridge: Bridge;
  readonly #waiting = new Map<string, Waiting[]>();
  readonly #sessions = new Map<string, Set<SessionStream>>();
  readonly #sizes = new Map<string, { readonly columns: number; readonly rows: number }>();
  readonly #inputs = new Set<string>();
  /** Ends of containers of `run --rm` that this bridge waits for. */
  readonly #ended = new Map<string, PromiseWithResolvers<Exit>>();
  /** Clients that still receive output of a container. */
  readonly #draining = new Map<string, Set<Promise<void>>>();

  readonly #closing: AbortSignal;

  /** @param closing aborts when the bridge stops */
  constructor(bridge: Bridge, closing: AbortSignal) {
    this.#bridge = bridge;
    this.#closing = closing;
  }

  recordInput(id: string): void {
    this.#inputs.add(id);
  }

  hasInput(id: string): boolean {
    return this.#inputs.has(id);
  }

  /** Attaches a client to the next run of a container that is not running. */
  waitForStart(container: Container, client: ClientStream, attached: AttachedStreams): void {
    const { id } = container;
    const waiting: Waiting = { container, client, started: Promise.withResolvers() };
    this.#waiting.set(id, [...(this.#waiting.get(id) ?? []), waiting]);
    void client.closed.then(() => this.#stopWaiting(id, waiting));
    const shown = this.#showNextRun({ container, client, attached }, waiting.started.promise);
    this.#keep(
      id,
      shown.finally(() => client.end()),
    );
  }

  #stopWaiting(id: string, waiting: Waiting): void {
    const others = (this.#waiting.get(id) ?? []).filter((one) => one !== waiting);
    if (others.length === 0) this.#waiting.delete(id);
    else this.#waiting.set(id, others);
  }

  /**
   * The current end of a container's log. A waiting client whose session breaks continues there, so that it gets no output of
   * an earlier run. Undefined without waiting clients or an earlier run.
   */
  async logEnd(id: string): Promise<string | undefined> {
    const [waiting] = this.#waiting.get(id) ?? [];
    return waiting === undefined || waiting.container.exitCode === null ? undefined : this.#logEndOf(id);
  }

  /** Call when a container has started. @param logFrom start of this run in the log */
  started(container: Container, logFrom: string | undefined): void {
    const waiting = this.#waiting.get(container.id) ?? [];
    this.#waiting.delete(container.id);
    for (const { started } of waiting) started.resolve({ logFrom, logs: true });
    if (container.labels[AUTO_REMOVE_LABEL] !== undefined) void this.#removeAtEnd(container);
  }

  /** Disconnects waiting clients, and removes a container of `run --rm`. */
  async startFailed(id: string): Promise<void> {
    for (const { client } of this.#waiting.get(id) ?? []) client.end();
    this.#waiting.delete(id);
    for (const session of this.#sessions.get(id) ?? []) session.close();
    const container = await this.#bridge.find(id).catch(() => undefined);
    if (container?.labels[AUTO_REMOVE_LABEL] === undefined) return;
    this.#endedOf(id).resolve({ exitCode: FAILED_TO_START });
    void this.#removeAtEnd(container);
  }

  /** Removes containers of `run --rm` that the bridge had to remove before it was restarted. */
  async removeLeftovers(): Promise<void> {
    const labelled = { query: { label: [`${AUTO_REMOVE_LABEL}=true`], limit: '200' } };
    for await (const container of itemsOf(this.#bridge.client, 'listContainers', labelled))
      if (container.exitCode !== null || container.state === 'Running') void this.#removeAtEnd(container);
  }

  /** Attaches a client to a running container: from now on or, with `logs`, from its start. */
  async attach(
    container: Container,
    client: ClientStream,
    attached: AttachedStreams,
    logs: boolean,
  ): Promise<void> {
    const from = logs || container.tty ? undefined : await this.#logEndOf(container.id);
    const shown = this.#show({ container, client, attached }, { logFrom: from, logs });
    this.#keep(
      container.id,
      shown.finally(() => client.end()),
    );
  }

  resize(id: string, columns: number, rows: number): void {
    this.#sizes.set(id, { columns, rows });
    for (const session of this.#sessions.get(id) ?? []) session.resize(columns, rows);
  }

  /** Sends a signal to the main process, in an existing session or a new one. */
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

  #keep(id: string, shown: Promise<void>): void {
    const kept = this.#draining.get(id) ?? new Set();
    this.#draining.set(id, kept);
    const settled = shown
      .catch((error: unknown) =>
        this.#bridge.settings.log(`Attaching to container ${id} failed: ${String(error)}`),
      )
      .finally(() => {
        kept.delete(settled);
        if (kept.size === 0) this.#draining.delete(id);
      });
    kept.add(settled);
  }

  async #showNextRun(to: Attachment, started: Promise<From>): Promise<void> {
    const { container, client } = to;
    // An earlier API, or a container without a host: attached after the start.
    const session = await this.#open(container.id, { awaitStart: true, ...pace(container) }).catch(
      () => undefined,
    );
    const seen = { stdout: 0, stderr: 0 };
    if (session !== undefined && (await this.#showSession(to, session, seen, started))) return;
    const from = await Promise.race([started, client.closed]);
    if (from === undefined) return;
    if (session === undefined) await this.#show(to, from);
    else await showLog(this.#bridge, shownTo(to, from.logFrom), seen);
  }

  async #show(to: Attachment, { logs, logFrom }: From): Promise<void> {
    const { container } = to;
    const from = logFrom === undefined || container.tty ? (logs ? { logs } : {}) : { cursor: logFrom };
    const session = await this.#open(container.id, { ...from, ...pace(container) }).catch(
      (error: unknown) => {
        // The container has already ended, or the session could not be opened. The log has all output.
        if (!isOver(error))
          this.#bridge.settings.log(
            `Opening a session with container ${container.name} failed: ${String(error)}`,
          );
        return undefined;
      },
    );
    const seen = { stdout: 0, stderr: 0 };
    if (session !== undefined && (await this.#showSession(to, session, seen))) return;
    await showLog(this.#bridge, shownTo(to, logFrom), seen);
  }

  /** @returns whether the client needs no more output */
  async #showSession(
    to: Attachment,
    session: SessionStream,
    seen: SentBytes,
    started?: Promise<unknown>,
  ): Promise<boolean> {
    const { id, tty } = to.container;
    const sessions = this.#sessions.get(id) ?? new Set();
    this.#sessions.set(id, sessions.add(session));
    try {
      const size = this.#sizes.get(id);
      if (size !== undefined) session.resize(size.columns, size.rows);
      const { isWhole, exitCode } = await showSession(
        this.#bridge,
        shownTo(to, undefined),
        session,
        seen,
        started,
      );
      if (exitCode !== null) this.#sawEnd(to.container, exitCode);
      return isWhole || tty;
    } finally {
      sessions.delete(session);
      if (sessions.size === 0) this.#sessions.delete(id);
    }
  }

  #sawEnd({ id, labels }: Container, exitCode: number): void {
    // A short process can end before the API reports its start, and therefore before the removal waits for its end.
    if (labels[AUTO_REMOVE_LABEL] !== undefined) this.#endedOf(id).resolve({ exitCode });
    // After the removal has stopped its own polling, which the event would wake up.
    setImmediate(() => this.#bridge.ended.emit(id));
  }

  #endedOf(id: string): PromiseWithResolvers<Exit> {
    const ended = this.#ended.get(id) ?? Promise.withResolvers<Exit>();
    this.#ended.set(id, ended);
    return ended;
  }

  #open(id: string, request: SessionRequest): Promise<SessionStream> {
    const { client, settings } = this.#bridge;
    return openContainerSession(client, settings, id, { attach: true, ...request });
  }

  async #logEndOf(id: string): Promise<string> {
    const request = { params: { idOrName: id }, query: { tail: '0' } };
    return (await this.#bridge.client.call('getContainerLogs', request)).nextCursor;
  }

  async #removeAtEnd(container: ContainerSummary): Promise<void> {
    const { id, name } = container;
    try {
      const exitCode = await this.#endOf(container);
      this.#bridge.keepExitCode(id, exitCode);
      await Promise.all(this.#draining.get(id) ?? []);
      // A session reports the end a moment before the API has it.
      await this.#bridge.remove(id, { force: true, signal: this.#closing }).catch((error: unknown) => {
        if (!isNotFound(error)) throw error;
      });
      this.#bridge.recordRemoval(id);
    } catch (error) {
      if (!this.#closing.aborted)
        this.#bridge.settings.log(`Container ${name} has ended but could not be removed: ${String(error)}`);
    }
  }

  /** Waits for the end of a container, which a session or the API reports. @returns its exit code */
  async #endOf(container: ContainerSummary): Promise<number> {
    const { id } = container;
    const over = new AbortController();
    const signal = AbortSignal.any([over.signal, this.#closing]);
    const bySession = this.#sessions.has(id) || this.#ended.has(id);
    const ended = this.#endedOf(id);
    // A session reports the end, so the API is not asked immediately and rarely later.
    const polling = bySession
      ? { after: container.revision, pollMs: SLOW_POLL_MS, seen: container }
      : { after: null };
    const polled = waitForExit(this.#bridge, id, { signal, ...polling });
    polled.catch(() => undefined);
    try {
      return (await Promise.race([ended.promise, polled])).exitCode;
    } finally {
      this.#ended.delete(id);
      over.abort();
    }
  }
}

const SLOW_POLL_MS = 5_000;
const SIGNAL_MS = 500;

const isOver = (error: unknown): boolean =>
  error instanceof ProblemError && (error.code === 'invalid-state' || error.code === 'process-exited');

/** As in docker, a slow attached client blocks the process. */
const pace = ({ tty }: Container): SessionRequest => (tty ? {} : { paced: true });

const shownTo = ({ container, client, attached }: Attachment, cursor: string | undefined) => ({
  containerId: container.id,
  client,
  attached,
  cursor,
});
