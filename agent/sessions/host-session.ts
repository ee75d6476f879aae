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
  /** Nothing of it is left. */
  readonly onOver: () => void;
}

interface HostSessionFacts {
  readonly sessionId: string;
  readonly containerId: string;
  readonly idleSeconds: number;
  readonly totalSeconds: number;
  /** To the main process: its exit is the session's. */
  readonly attached: boolean;
}

/** A client that is still there says so at least this often, in milliseconds; with time for a reconnect. */
const SILENCE_MS = (2 * SESSION_LIMITS.keepAliveSeconds + SESSION_LIMITS.resumeSeconds) * 1_000;

/** Messages of different connections may overtake each other by so much, in milliseconds. */
const OVERTAKEN_MS = 1_000;

/**
 * One session on this host: a process, and the window to its client.
 *
 * open → ending (its exit is on its way) → over. It ends by the exit of its process, or by a reason of ours, which
 * goes to the client at once and leaves unsent what it has not taken. It is over when the client has acknowledged
 * the exit, or has been gone for too long to come back for it.
 *
 * Races: an exit and a reason of ours may come together, the first one counts; frames of a client that has not heard
 * yet are taken and lead nowhere.
 */
export class HostSession {
  readonly facts: HostSessionFacts;
  readonly #deps: HostSessionDeps;
  readonly #process: SessionProcess;
  readonly #window: SessionWindow<HostFrame, ClientFrame>;
  #state: 'open' | 'ending' | 'over' = 'open';
  /** When client and process last had something to say, by the monotonic clock. */
  #activeAt: number;
  #heardAt: number;
  #detachedAt: number | null;
  readonly #openedAt: number;
  #reason: SessionEndReason = 'exited';
  /** Output that waits for its turn in the window, which has one frame of it at a time. */
  readonly #output = new OutputRuns();
  #isQueued = false;
  /** Bytes of output that wait for the client. */
  #unsent = 0;
  /** Sent after all output. */
  #exit: Extract<HostFrame, { type: 'exit' }> | null = null;
  #cancelWatch: Cancel = nothingToCancel;
  #cancelProbe: Cancel = nothingToCancel;

  constructor(facts: HostSessionFacts, process: SessionProcess, deps: HostSessionDeps) {
    this.facts = facts;
    this.#deps = deps;
    this.#process = process;
    const now = deps.clock.monotonicMs();
    this.#openedAt = now;
    this.#activeAt = now;
    this.#heardAt = now;
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

  /** A message of its client. */
  receive(message: ToHostSessionMessage): void {
    if (this.#state === 'over') return;
    if (message.kind === 'detached') {
      this.#detached();
      return;
    }
    this.#heardAt = this.#deps.clock.monotonicMs();
    // The first word of a client that is new or back: what it may have missed follows.
    if (this.#detachedAt !== null || (message.kind === 'ack' && message.probe === true)) {
      this.#detachedAt = null;
      this.#window.connected();
    }
    this.#window.receive(message);
    this.#settle();
  }

  /** The agent has reconnected to the control plane. */
  reconnected(): void {
    if (this.#detachedAt === null) this.#window.connected();
  }

  /** Ends it for a reason of the host. The client gets the reason before other waiting frames. */
  end(reason: SessionEndReason): void {
    if (this.#state !== 'open') return;
    this.#process.end();
    this.#state = 'ending';
    this.#reason = reason;
    this.#output.clear();
    this.#window.putLast({ type: 'exit', exitCode: null, reason });
    // What is not sent any more must not keep the process from ending.
    this.#process.consumed(this.#unsent);
    // No client will receive the exit, so the control plane is notified.
    if (this.#detachedAt !== null) this.#sendEnded();
    this.#settle();
  }

  /** Without a word to anybody: the agent stops. */
  abandon(): void {
    if (this.#state === 'open') this.#process.end();
    this.#dispose();
  }

  #detached(): void {
    this.#detachedAt = this.#deps.clock.monotonicMs();
    this.#window.disconnected();
    // A client that is back already may have been overtaken by this: then it answers.
    this.#cancelProbe();
    this.#cancelProbe = this.#deps.clock.after(OVERTAKEN_MS, () => {
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
    this.#deps.onOver();
  }

  /** Once a second: limits, and a client that is gone. */
  #watch(): void {
    this.#cancelWatch = this.#deps.clock.after(1_000, () => {
      const now = this.#deps.clock.monotonicMs();
      const detachedMs = this.#detachedAt === null ? 0 : now - this.#detachedAt;
      const gone = detachedMs > SESSION_LIMITS.resumeSeconds * 1_000 || now - this.#heardAt > SILENCE_MS;
      if (gone && this.#state === 'ending') return this.#dispose();
      if (gone) this.end('client-gone');
      else if (now - this.#openedAt > this.facts.totalSeconds * 1_000) this.end('time-limit');
      else if (now - this.#activeAt > this.facts.idleSeconds * 1_000) this.end('idle');
      this.#watch();
    });
  }
}
