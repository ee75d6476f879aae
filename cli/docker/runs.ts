import { itemsOf, ProblemError } from '../../core/client/index.ts';
import type { Container, ContainerSummary } from '../../core/contract/container.ts';
import type { SignalName } from '../../core/contract/session.ts';
import { openContainerSession, type SessionStream } from '../session.ts';
import { type Bridge, isNotFound } from './bridge.ts';
import { waitForExit } from './exits.ts';
import { showLog } from './show-log.ts';
import { showSession } from './show-session.ts';
import type { AttachedStreams, ClientStream } from './streams.ts';
import { AUTO_REMOVE_LABEL } from './translate/labels.ts';

/**
 * The bridge's own state of containers, in memory only.
 *
 * docker attaches before it starts a container, so a client of a container that is not running waits here until `started`.
 * Then it gets all output of the main process: from a session, or from the log if the session cannot be opened or breaks.
 * With a terminal, a broken session ends the attach.
 * A container of `run --rm` is removed after it has ended and its output was sent.
 */
interface From {
  /** Start position in the log, without a terminal; undefined: the start of this run. */
  readonly logFrom: string | undefined;
  /** Whether the client also gets earlier output. */
  readonly logs: boolean;
}

interface Waiting {
  readonly client: ClientStream;
  readonly attached: AttachedStreams;
}

export class Runs {
  readonly #bridge: Bridge;
  readonly #waiting = new Map<string, Waiting[]>();
  readonly #sessions = new Map<string, Set<SessionStream>>();
  readonly #sizes = new Map<string, { readonly columns: number; readonly rows: number }>();
  readonly #inputs = new Set<string>();
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

  /** Keeps a client until its container is started. */
  waitForStart(id: string, client: ClientStream, attached: AttachedStreams): void {
    const waiting = { client, attached };
    this.#waiting.set(id, [...(this.#waiting.get(id) ?? []), waiting]);
    void client.closed.then(() => {
      const others = (this.#waiting.get(id) ?? []).filter((one) => one !== waiting);
      if (others.length === 0) this.#waiting.delete(id);
      else this.#waiting.set(id, others);
    });
  }

  /**
   * The current end of a container's log. Waiting clients start there, so that they get no output of an earlier run.
   * Undefined without waiting clients or an earlier run.
   */
  async logEnd({ id, exitCode }: Container): Promise<string | undefined> {
    if (exitCode === null || !this.#waiting.has(id)) return undefined;
    return this.#logEndOf(id);
  }

  /** Attaches waiting clients to a container that has started. @param logFrom start of this run in the log */
  started(container: Container, logFrom: string | undefined): void {
    const waiting = this.#waiting.get(container.id) ?? [];
    this.#waiting.delete(container.id);
    for (const { client, attached } of waiting)
      this.#show(container, client, attached, { logFrom, logs: true });
    if (container.labels[AUTO_REMOVE_LABEL] !== undefined) void this.#removeAtEnd(container);
  }

  /** Disconnects waiting clients, and removes a container of `run --rm`. */
  startFailed(container: Container): void {
    for (const { client } of this.#waiting.get(container.id) ?? []) client.end();
    this.#waiting.delete(container.id);
    if (container.labels[AUTO_REMOVE_LABEL] !== undefined) void this.#removeAtEnd(container);
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
    this.#show(container, client, attached, { logFrom: from, logs });
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

  #show(container: Container, client: ClientStream, attached: AttachedStreams, from: From): void {
    const shown = this.#join(container, client, attached, from).finally(() => client.end());
    this.#keep(container.id, shown);
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

  async #join(
    container: Container,
    client: ClientStream,
    attached: AttachedStreams,
    from: From,
  ): Promise<void> {
    const shown = { containerId: container.id, client, attached, cursor: from.logFrom };
    const session = await this.#open(container, from).catch((error: unknown) => {
      // The container has already ended, or the session could not be opened. The log has all output.
      if (!isOver(error))
        this.#bridge.settings.log(
          `Opening a session with container ${container.name} failed: ${String(error)}`,
        );
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
    // As in docker, a slow attached client blocks the process.
    const pace = tty ? {} : { paced: true };
    return openContainerSession(client, settings, id, { attach: true, ...from, ...pace });
  }

  async #logEndOf(id: string): Promise<string> {
    const request = { params: { idOrName: id }, query: { tail: '0' } };
    return (await this.#bridge.client.call('getContainerLogs', request)).nextCursor;
  }

  async #removeAtEnd(container: ContainerSummary): Promise<void> {
    const { client, settings } = this.#bridge;
    try {
      const { exitCode } = await waitForExit(this.#bridge, container.id, {
        after: null,
        signal: this.#closing,
      });
      this.#bridge.keepExitCode(container.id, exitCode);
      await Promise.all(this.#draining.get(container.id) ?? []);
      await client.call('removeContainer', { params: { idOrName: container.id } });
    } catch (error) {
      if (!isNotFound(error) && !this.#closing.aborted)
        settings.log(`Container ${container.name} has ended but could not be removed: ${String(error)}`);
    }
  }
}

const SIGNAL_MS = 500;

const isOver = (error: unknown): boolean =>
  error instanceof ProblemError && (error.code === 'invalid-state' || error.code === 'process-exited');
