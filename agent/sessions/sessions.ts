import type { CommandArguments, CommandResult } from '../../core/contract/agent/commands.ts';
import type { OsFamily } from '../../core/contract/host.ts';
import {
  type HostSessionMessage,
  SESSION_LIMITS,
  type SessionEndReason,
  type ToHostSessionMessage,
} from '../../core/contract/session.ts';
import type { Clock } from '../clock.ts';
import { CommandRefusedError, messageOf, RuntimeError } from '../errors.ts';
import type { Log } from '../log.ts';
import type { AttachOptions, Runtime } from '../runtimes/runtime.ts';
import type { ExecRequest, SessionProcess } from '../runtimes/session-process.ts';
import type { AgentState } from '../state/agent-state.ts';
import { collectOutput } from './collect-output.ts';
import { HostSession } from './host-session.ts';
import { LateMain } from './late-main.ts';

/** Maximum number of open sessions on a host. */
const MAX_SESSIONS = 512;

const FINAL_OUTPUT_MS = 4_000;

const SESSION_VERBS = [
  'exec',
  'openSession',
  'closeSession',
  'readLog',
  'reportIsolation',
  'verifyIsolation',
] as const;
type SessionArguments = Extract<CommandArguments, { verb: (typeof SESSION_VERBS)[number] }>;
type OpenSession = Extract<SessionArguments, { verb: 'openSession' }>;
/** The container of a request, and its epoch when the request was issued. */
interface Subject {
  readonly containerId: string;
  readonly epoch: number;
}
interface Late {
  readonly main: LateMain;
  readonly options: AttachOptions;
}
type Answer = Partial<Extract<CommandResult, { status: 'succeeded' }>>;

export const isSessionVerb = (args: CommandArguments): args is SessionArguments =>
  (SESSION_VERBS as readonly string[]).includes(args.verb);

/** Verbs that must not run twice. After a crash, the agent answers them with a failure and does not repeat them. */
/** A session that waits for a start does not depend on the state in which it was requested. */
export const awaitsStart = (args: CommandArguments): boolean =>
  args.verb === 'openSession' && args.awaitStart === true;

export const isRunOnce = ({ verb }: CommandArguments): boolean => verb === 'exec' || verb === 'openSession';

const SHELLS: Readonly<Record<OsFamily, readonly string[]>> = { linux: ['/bin/sh'], windows: ['cmd'] };
const ADMINISTRATORS: Readonly<Record<OsFamily, string>> = {
  /** As an id, because an image may not have the user `root`, and the container may have changed its id. */
  linux: '0',
  windows: 'ContainerAdministrator',
};

interface SessionsDeps {
  readonly state: Pick<AgentState, 'container'>;
  readonly runtime: Runtime;
  readonly clock: Clock;
  readonly log: Log;
  /** Sends to the control plane, if it is connected. A session resends lost messages itself. */
  readonly send: (message: HostSessionMessage) => void;
}

/** The sessions of this host's containers, and other requests to running containers. */
export class Sessions {
  readonly #deps: SessionsDeps;
  readonly #sessions = new Map<string, HostSession>();
  readonly #opening = new Set<string>();
  /** Attachments to main processes that have not been started yet, by container. */
  readonly #late = new Map<string, Set<Late>>();
  /** The epoch of a container's last start since the agent was started. */
  readonly #startedIn = new Map<string, number>();

  constructor(deps: SessionsDeps) {
    this.#deps = deps;
  }

  get count(): number {
    return this.#sessions.size;
  }

  async answer(subject: Subject, args: SessionArguments, signal: AbortSignal): Promise<Answer> {
    const { runtime, clock } = this.#deps;
    const { containerId } = subject;
    switch (args.verb) {
      case 'exec': {
        const { verb: _, timeoutSeconds, ...request } = args;
        const process = await runtime.startExec(containerId, this.#completed(containerId, request));
        const options = {
          keptBytes: SESSION_LIMITS.execOutputBytes,
          timeoutMs: timeoutSeconds * 1_000,
          signal,
        };
        return { exec: await collectOutput(process, clock, options) };
      }
      case 'openSession':
        await this.#open(subject, args);
        return {};
      case 'closeSession':
        this.#sessions.get(args.sessionId)?.end(args.reason);
        return {};
      case 'readLog':
        return { log: await runtime.readLog(containerId, args) };
      case 'reportIsolation':
        return { isolation: await runtime.isolation(containerId) };
      case 'verifyIsolation':
        return { verification: await runtime.verifyIsolation(containerId, signal) };
    }
  }

  receive(message: ToHostSessionMessage): void {
    const session = this.#sessions.get(message.sessionId);
    if (session !== undefined) session.receive(message);
    else if (message.kind !== 'detached' && !this.#opening.has(message.sessionId))
      this.#deps.send({
        action: 'session',
        sessionId: message.sessionId,
        kind: 'ended',
        reason: 'unknown-session',
      });
  }

  reconnected(): void {
    for (const session of this.#sessions.values()) session.reconnected();
  }

  /** Call when a main process has been started: connects the sessions that have waited for it. */
  mainStarted(containerId: string): void {
    const { state, runtime, log } = this.#deps;
    this.#startedIn.set(containerId, state.container(containerId)?.appliedEpoch ?? 0);
    const waiting = this.#late.get(containerId) ?? [];
    this.#late.delete(containerId);
    // The process may have ended already.
    for (const { main, options } of waiting)
      runtime.attach(containerId, { ...options, evenEnded: true }).then(
        (process) => main.begin(process),
        (error: unknown) => {
          log.warn('could not attach to a started process', { containerId, cause: messageOf(error) });
          main.fail(error);
        },
      );
  }

  /** Call when a container is removed: ends the sessions that wait for its start. */
  removed(containerId: string): void {
    const waiting = this.#late.get(containerId) ?? [];
    this.#late.delete(containerId);
    this.#startedIn.delete(containerId);
    for (const { main } of waiting)
      main.fail(new RuntimeError('invalid-state', 'The container was removed.'));
  }

  /** Call when a main process has exited by itself. Attached clients still receive its last output. */
  mainEnded(containerId: string): void {
    for (const session of this.#sessions.values())
      if (session.facts.containerId === containerId && !session.facts.attached)
        session.end('container-stopped');
  }

  /**
   * Ends the sessions of a container that stops or has stopped. Clients attached to the main process get a few seconds to
   * receive its last output.
   */
  endOf(containerId: string, reason: SessionEndReason): void {
    for (const session of this.#sessions.values()) {
      if (session.facts.containerId !== containerId) continue;
      if (session.facts.attached) this.#deps.clock.after(FINAL_OUTPUT_MS, () => session.end(reason));
      else session.end(reason);
    }
  }

  /** Ends all sessions, because the agent stops. */
  close(): void {
    for (const session of [...this.#sessions.values()]) session.abandon();
  }

  async #open(subject: Subject, args: OpenSession): Promise<void> {
    const { containerId } = subject;
    const { sessionId, idleSeconds, totalSeconds } = args;
    if (this.#sessions.has(sessionId)) return;
    if (this.#sessions.size + this.#opening.size >= MAX_SESSIONS)
      throw new CommandRefusedError(
        'quota-exceeded',
        `The host has reached its limit of ${MAX_SESSIONS} sessions.`,
        {
          suggestion: 'Close some sessions, then try again.',
        },
      );
    this.#opening.add(sessionId);
    try {
      const process = await this.#start(subject, args);
      const attached = args.attach === true;
      const facts = { sessionId, containerId, idleSeconds, totalSeconds, attached };
      const session = new HostSession(facts, process, {
        clock: this.#deps.clock,
        send: this.#deps.send,
        onOver: () => this.#sessions.delete(sessionId),
      });
      this.#sessions.set(sessionId, session);
    } finally {
      this.#opening.delete(sessionId);
    }
  }

  async #start({ containerId, epoch }: Subject, args: OpenSession): Promise<SessionProcess> {
    const { runtime } = this.#deps;
    if (args.attach === true) {
      const terminal = this.#deps.state.container(containerId)?.container?.spec.tty === true;
      const { logs, cursor, paced } = args;
      const options = { logs: logs === true || args.awaitStart === true, cursor, paced, terminal };
      if (args.awaitStart !== true) return runtime.attach(containerId, options);
      const isStarted = (this.#startedIn.get(containerId) ?? 0) > epoch;
      return this.#awaitStart(containerId, { ...options, evenEnded: isStarted });
    }
    const { family } = (await runtime.facts()).os;
    const { command, tty, columns, rows, env, workingDir } = args;
    const user = args.runAsAdministrator === true ? ADMINISTRATORS[family] : args.user;
    const request = { command: command ?? SHELLS[family], tty, columns, rows, env, workingDir, user };
    return runtime.startExec(containerId, this.#completed(containerId, request));
  }

  /** The main process if it runs, otherwise that of the next start. */
  async #awaitStart(containerId: string, options: AttachOptions): Promise<SessionProcess> {
    const { runtime, state } = this.#deps;
    if (!state.container(containerId)?.container)
      throw new RuntimeError('invalid-state', 'The container is not on this host.');
    const waiting = this.#late.get(containerId) ?? new Set();
    this.#late.set(containerId, waiting);
    // Registered before the attempt, so that a start in the meantime is not missed.
    const late: Late = { main: new LateMain(() => waiting.delete(late)), options };
    waiting.add(late);
    try {
      const process = await runtime.attach(containerId, options);
      if (waiting.delete(late) && this.#late.get(containerId) === waiting) late.main.begin(process);
      else process.end();
    } catch (error) {
      if (error instanceof RuntimeError && error.code === 'invalid-state') return late.main;
      waiting.delete(late);
      throw error;
    }
    return late.main;
  }

  /** Fills in missing settings from the container's main process, then from the image. */
  #completed(containerId: string, request: ExecRequest): ExecRequest {
    const spec = this.#deps.state.container(containerId)?.container?.spec;
    return {
      ...request,
      user: request.user ?? spec?.user,
      workingDir: request.workingDir ?? spec?.workingDir,
      env: { ...spec?.env, ...request.env },
    };
  }
}
