import {
  type ClientFrame,
  type HostFrame,
  type HostSessionMessage,
  type OutputStream,
  SESSION_LIMITS,
  type SessionEndReason,
  SIGNALS,
  type ToHostSessionMessage,
} from '../../core/contract/session.ts';
import { SessionWindow } from '../../core/session/session-window.ts';
import { type Cancel, type Clock, nothingToCancel } from '../clock.ts';
import { OutputRuns } from '../runtimes/output-runs.ts';
import type { SessionProcess } from '../runtimes/session-process.ts';

interface HostSessionDeps {
  readonly clock: Clock;
  readonly send: (message: HostSessionMessage) => void;
  /** Called when the session is over and has released its resources. */
  readonly onOver: () => void;
}

interface HostSessionFacts {
  readonly sessionId: string;
  readonly containerId: string;
  readonly idleSeconds: number;
  readonly totalSeconds: number;
  /** The session is attached to the main process: its exit ends the session. */
  readonly attached: boolean;
}

/** A client that sends no message for this long is gone, in milliseconds. Includes the time for a reconnect. */
const SILENCE_MS = (2 * SESSION_LIMITS.keepAliveSeconds + SESSION_LIMITS.resumeSeconds) * 1_000;

/** Messages of different connections can arrive out of order by this much, in milliseconds. */
const REORDERING_MS = 1_000;

/**
 * One session on this host: a process, and a window of frames to its client.
 *
 * States: open → ending (the exit is being sent) → over. A session ends when its process exits, or when the host ends it. The
 * host's reason is sent to the client immediately, and unsent output is dropped. The session is over when the client has
 * acknowledged the exit, or when it has been gone for longer than the time to resume.
 *
 * Races: if the process exits while the host ends the session, the first event counts. Frames from a client that has not
 * received the exit yet are accepted and ignored.
 */
export class HostSession {
  readonly facts: HostSessionFacts;
  readonly #deps: HostSessionDeps;
  readonly #process: SessionProcess;
  readonly #window: SessionWindow<HostFrame, ClientFrame>;
  #state: 'open' | 'ending' | 'over' = 'open';
  /** Time of the last input or output, by the monotonic clock. */
  #activeAt: number;
  /** Time of the client's last message, by the monotonic clock. */
  #clientSeenAt: number;
  #detachedAt: number | null;
  readonly #openedAt: number;
  #reason: SessionEndReason = 'exited';
  /** Output that waits for the window, which holds one frame of output at a time. */
  readonly #output = new OutputRuns();
  #isQueued = false;
  /** Bytes of output that wait for the client. */
  #unsent = 0;
  /** Sent after all output. */
  #exit: Extract<HostFrame, { type: 'exit' }> | null = null;
  #cancelWatch: Cancel = nothingToCancel;
  #cancelProbe: Cancel = nothingToCancel;
  /** Whether the process continues after the session. */
  #isKept = false;

  constructor(facts: HostSessionFacts, process: SessionProcess, deps: HostSessionDeps) {
    this.facts = facts;
    this.#deps = deps;
    this.#process = process;
    const now = deps.clock.monotonicMs();
    this.#openedAt = now;
    this.#activeAt = now;
    this.#clientSeenAt = now;
    this.#detachedAt = now;
    const { sessionId } = facts;
    this.#window = new SessionWindow<HostFrame, ClientFrame>({
      timers: {
        now: () => deps.clock.monotonicMs(),
        after: (ms, callback) => deps.clock.after(ms, callback),
      },
      send: (message) => deps.send({ action: 'session', sessionId, ...message }),
      bytesOf: (frame) => (frame.type === 'input' ? Buffer.byteLength(frame.data, 'base64') : 0),
      deliver: (frame) => this.#take(frame),
      onViolation: () => this.end('protocol-error'),
    });
    process.onOutput((stream, data) => this.#takeOutput(stream, data));
    process.onInputTaken((bytes) => this.#window.consumed(bytes));
    process.exited.then(
      (exitCode) => this.#finish({ type: 'exit', exitCode, reason: 'exited' }),
      () => this.end('container-stopped'),
    );
    this.#watch();
  }

  get isOpen(): boolean {
    return this.#state === 'open';
  }

  /** Handles a message of the client. */
  receive(message: ToHostSessionMessage): void {
    if (this.#state === 'over') return;
    if (message.kind === 'detached') {
      this.#detached();
      return;
    }
    this.#clientSeenAt = this.#deps.clock.monotonicMs();
    // The client has connected or reconnected, so resend what it may have missed.
    if (this.#detachedAt !== null || (message.kind === 'ack' && message.probe === true)) {
      this.#detachedAt = null;
      this.#window.connected();
    }
    this.#window.receive(message);
    this.#settle();
  }

  /** Call when the agent has reconnected to the control plane. */
  reconnected(): void {
    if (this.#detachedAt === null) this.#window.connected();
  }

  /** Ends the session for a reason of the host. The client gets the reason before other waiting frames. */
  end(reason: SessionEndReason): void {
    if (this.#state !== 'open') return;
    this.#process.end();
    this.#close(reason);
  }

  #close(reason: SessionEndReason): void {
    this.#state = 'ending';
    this.#reason = reason;
    this.#output.clear();
    this.#window.putLast({ type: 'exit', exitCode: null, reason });
    // Dropped output must not block the process's exit.
    this.#process.consumed(this.#unsent);
    // No client will receive the exit, so the control plane is notified.
    if (this.#detachedAt !== null) this.#sendEnded();
    this.#settle();
  }

  /** Ends the session for its client. The process continues, and its output is dropped. */
  #keep(): void {
    this.#isKept = true;
    this.#close('closed');
  }

  /** Ends the session without any message, because the agent stops. */
  abandon(): void {
    if (this.#state === 'open') this.#process.end();
    this.#dispose();
  }

  #detached(): void {
    this.#detachedAt = this.#deps.clock.monotonicMs();
    this.#window.disconnected();
    // The client may have reconnected already, because messages can arrive out of order. If so, it answers a probe.
    this.#cancelProbe();
    this.#cancelProbe = this.#deps.clock.after(REORDERING_MS, () => {
      if (this.#detachedAt !== null && this.#state !== 'over') this.#window.probe();
    });
  }

  #sendEnded(): void {
    const { sessionId } = this.facts;
    this.#deps.send({ action: 'session', sessionId, kind: 'ended', reason: this.#reason });
  }

  #finish(exit: Extract<HostFrame, { type: 'exit' }>): void {
    if (this.#state !== 'open') return;
    this.#state = 'ending';
    this.#exit = exit;
    this.#queueNext();
    this.#settle();
  }

  #take(frame: ClientFrame): void {
    this.#activeAt = this.#deps.clock.monotonicMs();
    if (frame.type === 'input') this.#input(Buffer.from(frame.data, 'base64'));
    else if (this.#state !== 'open') return;
    else if (frame.type === 'endInput') this.#process.endInput();
    else if (frame.type === 'resize') this.#process.resize(frame.columns, frame.rows);
    else if (frame.type === 'signal') this.#process.signal(SIGNALS[frame.name]);
    // A main process continues in any case.
    else if (frame.keep === true && !this.facts.attached) this.#keep();
    else this.end('closed');
  }

  #input(data: Buffer): void {
    if (this.#state === 'open') this.#process.write(data);
    else this.#window.consumed(data.length);
  }

  #takeOutput(stream: OutputStream, data: Buffer): void {
    this.#activeAt = this.#deps.clock.monotonicMs();
    if (this.#state !== 'open') {
      this.#process.consumed(data.length);
      return;
    }
    this.#unsent += data.length;
    this.#output.add(stream, data);
    this.#queueNext();
  }

  #queueNext(): void {
    if (this.#isQueued) return;
    const next = this.#output.take(SESSION_LIMITS.dataBytes);
    if (next === undefined) {
      if (this.#exit !== null) this.#window.put(this.#exit);
      this.#exit = null;
      return;
    }
    const { stream, data } = next;
    this.#isQueued = true;
    this.#window.put({ type: 'output', stream, data: data.toString('base64') }, data.length, () => {
      this.#isQueued = false;
      this.#unsent -= data.length;
      this.#process.consumed(data.length);
      this.#queueNext();
    });
  }

  #settle(): void {
    if (this.#state === 'ending' && this.#window.settled) this.#dispose();
  }

  #dispose(): void {
    if (this.#state === 'over') return;
    const isUnacknowledged = !this.#window.settled;
    this.#state = 'over';
    this.#cancelWatch();
    this.#cancelProbe();
    if (isUnacknowledged) this.#sendEnded();
    this.#window.close();
    // A process without a client counts against the host's limit of sessions.
    if (this.#isKept) this.#process.exited.then(this.#deps.onOver, this.#deps.onOver);
    else this.#deps.onOver();
  }

  /** Checks the time limits and the client's absence every second. */
  #watch(): void {
    this.#cancelWatch = this.#deps.clock.after(1_000, () => {
      const now = this.#deps.clock.monotonicMs();
      const detachedMs = this.#detachedAt === null ? 0 : now - this.#detachedAt;
      const gone = detachedMs > SESSION_LIMITS.resumeSeconds * 1_000 || now - this.#clientSeenAt > SILENCE_MS;
      if (gone && this.#state === 'ending') return this.#dispose();
      if (gone) this.end('client-gone');
      else if (now - this.#openedAt > this.facts.totalSeconds * 1_000) this.end('time-limit');
      else if (now - this.#activeAt > this.facts.idleSeconds * 1_000) this.end('idle');
      this.#watch();
    });
  }
}
