import type { CommandArguments, CommandResult } from '../../core/contract/agent/commands.ts';
import type { OsFamily } from '../../core/contract/host.ts';
import {
  type HostSessionMessage,
  SESSION_LIMITS,
  type SessionEndReason,
  type ToHostSessionMessage,
} from '../../core/contract/session.ts';
import type { Clock } from '../clock.ts';
import { CommandRefusedError } from '../errors.ts';
import type { Log } from '../log.ts';
import type { Runtime } from '../runtimes/runtime.ts';
import type { ExecRequest, SessionProcess } from '../runtimes/session-process.ts';
import type { AgentState } from '../state/agent-state.ts';
import { collectOutput } from './collect-output.ts';
import { HostSession } from './host-session.ts';

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
type Answer = Partial<Extract<CommandResult, { status: 'succeeded' }>>;

export const isSessionVerb = (args: CommandArguments): args is SessionArguments =>
  (SESSION_VERBS as readonly string[]).includes(args.verb);

/** Verbs that must not run twice. After a crash, the agent answers them with a failure and does not repeat them. */
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

  constructor(deps: SessionsDeps) {
    this.#deps = deps;
  }

  get count(): number {
    return this.#sessions.size;
  }

  async answer(containerId: string, args: SessionArguments, signal: AbortSignal): Promise<Answer> {
    const { runtime, clock } = this.#deps;
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
        await this.#open(containerId, args);
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

  async #open(containerId: string, args: Extract<SessionArguments, { verb: 'openSession' }>): Promise<void> {
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
      const process = await this.#start(containerId, args);
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

  async #start(
    containerId: string,
    args: Extract<SessionArguments, { verb: 'openSession' }>,
  ): Promise<SessionProcess> {
    const { runtime } = this.#deps;
    if (args.attach === true) {
      const terminal = this.#deps.state.container(containerId)?.container?.spec.tty === true;
      const { logs, cursor, paced } = args;
      return runtime.attach(containerId, { logs: logs === true, cursor, paced, terminal });
    }
    const { family } = (await runtime.facts()).os;
    const { command, tty, columns, rows, env, workingDir } = args;
    const user = args.runAsAdministrator === true ? ADMINISTRATORS[family] : args.user;
    const request = { command: command ?? SHELLS[family], tty, columns, rows, env, workingDir, user };
    return runtime.startExec(containerId, this.#completed(containerId, request));
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
