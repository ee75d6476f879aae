import { rm } from 'node:fs/promises';
import type { RuntimeType } from '../../../../core/contract/primitives.ts';
import { SIGNALS } from '../../../../core/contract/session.ts';
import { sleep } from '../../../clock.ts';
import { messageOf, RuntimeError } from '../../../errors.ts';
import type { AttachOptions, MainProcess } from '../../runtime.ts';
import type { SessionProcess } from '../../session-process.ts';
import { type ExitStatus, type GuestProcess, startError } from '../channel/guest-process.ts';
import type { LinuxDeps } from '../deps.ts';
import { containerPaths } from '../layout.ts';
import { isAlive, killProcess, type ProcessIdentity } from '../proc.ts';
import { type AttachableMain, attachEnded, attachMain } from './attach-main.ts';
import type { StartedContainer } from './default-containers.ts';
import { describeExit, ExitRecords, exitCodeOfFailedStart } from './exit-records.ts';
import { GuestMain } from './guest-main.ts';
import { MainLog } from './main-log.ts';
import { endOfLog } from './read-log.ts';
import type { ContainerRecords, ExitRecord, RunRecord } from './records.ts';

const POLL_MS = 20;
const ADOPTED_POLL_MS = 200;
/** Time limit after SIGKILL, because the kernel may need time to end a process. */
const FORCED_END_MS = 10_000;

/** Kills a container's VM, and resolves once the end of the run is recorded. */
type EndVm = (reason: string) => Promise<void>;

interface StopOptions {
  readonly timeoutSeconds: number;
  readonly stopSignal: number;
}

type Started = StartedContainer | { readonly main: GuestProcess };

interface Live {
  readonly instanceId: string;
  /** Set for a container in a utility VM. */
  readonly guest: GuestMain | null;
  readonly process: ProcessIdentity | null;
  readonly ended: Promise<void>;
  /** Whether the exit is being recorded. If the process exits and the VM ends, the first event is recorded. */
  isEnding: boolean;
}

/**
 * The runs of containers' main processes, for both runtime types. Each run starts once, is watched, and leaves an exit record.
 *
 * A run is recorded before it starts. After a crash, a run that is recorded but not marked as started is not started again,
 * because it may have run. The helper writes the exits of process containers, and this class writes the exits in VMs. The end of
 * a VM is also an exit. A run has ended only when its exit is recorded. An earlier end would be reported without an exit code,
 * and the code would be lost.
 */
export class MainRuns {
  readonly #deps: LinuxDeps;
  readonly #records: ContainerRecords;
  readonly #exits: ExitRecords;
  readonly #live = new Map<string, Live>();
  readonly #listeners: ((containerId: string) => void)[] = [];
  /** Runs that are being stopped on request. Their exit is not reported. */
  readonly #stopping = new Set<string>();
  #closed = false;

  constructor(deps: LinuxDeps, records: ContainerRecords) {
    this.#deps = deps;
    this.#records = records;
    this.#exits = new ExitRecords(deps.clock);
  }

  onExit(listener: (containerId: string) => void): void {
    this.#listeners.push(listener);
  }

  /** Starts the run, unless it has been started before. */
  async begin(
    id: string,
    instanceId: string,
    runtimeType: RuntimeType,
    start: () => Promise<Started>,
  ): Promise<void> {
    const last = await this.#records.run(id);
    if (last?.instanceId === instanceId) return;
    await rm(containerPaths(this.#deps.layout, id).exit, { force: true });
    const run: RunRecord = {
      instanceId,
      runtimeType,
      startedAtMs: this.#deps.clock.now().getTime(),
      process: null,
      supervisor: null,
      begun: false,
      logStart: await endOfLog(containerPaths(this.#deps.layout, id).log),
    };
    await this.#records.saveRun(id, run);
    try {
      const started = await start();
      if ('main' in started) await this.#begunInGuest(id, run, started.main);
      else await this.#begunHere(id, run, started);
    } catch (error) {
      await this.#fail(id, messageOf(error), exitCodeOfFailedStart(error));
      throw error;
    }
  }

  async inspect(id: string): Promise<MainProcess | null> {
    const run = await this.#records.run(id);
    if (run === null) return null;
    // In this order: if the run is no longer watched, its exit is already recorded.
    const isWatched = this.#live.get(id)?.instanceId === run.instanceId;
    const exit = await this.#records.exit(id);
    const running = exit === null && isWatched;
    return {
      instanceId: run.instanceId,
      running,
      startedAt: new Date(run.startedAtMs),
      endedAt: exit === null ? null : new Date(exit.endedAtMs),
      exitCode: exit?.exitCode ?? null,
      exitReason: running ? null : (exit?.reason ?? describeExit(exit)),
      outOfMemory: exit?.outOfMemory,
    };
  }

  /**
   * Sends the stop signal, and kills the process after `timeoutSeconds`. Resolves once the exit is recorded.
   * @param endVm kills the container's VM if the guest does not end the process
   */
  async stop(
    id: string,
    { timeoutSeconds, stopSignal }: StopOptions,
    signal: AbortSignal,
    endVm: EndVm = () => Promise.resolve(),
  ): Promise<void> {
    const live = this.#live.get(id);
    if (!live) return;
    this.#stopping.add(id);
    live.guest?.release();
    try {
      if (await this.#ends(live, { timeoutSeconds, stopSignal }, signal)) return;
      if (live.guest === null) throw new RuntimeError('step-failed', 'The process could not be killed');
      await endVm('The guest did not end the process');
      await live.ended;
    } finally {
      this.#stopping.delete(id);
    }
  }

  async #ends(
    live: Live,
    { timeoutSeconds, stopSignal }: StopOptions,
    signal: AbortSignal,
  ): Promise<boolean> {
    if (timeoutSeconds > 0) {
      this.#signal(live, stopSignal);
      if (await this.#endsWithin(live, timeoutSeconds * 1000, signal)) return true;
    }
    this.#signal(live, SIGNALS.KILL);
    return this.#endsWithin(live, FORCED_END_MS, signal);
  }

  /** Returns the main process of a running container on this machine. Throws `invalid-state`. */
  async requireProcess(id: string): Promise<ProcessIdentity> {
    const live = this.#live.get(id);
    if (live?.process && isAlive(live.process)) return live.process;
    throw new RuntimeError('invalid-state', 'The container is not running');
  }

  /**
   * Attaches to the main process ({@link attachMain}).
   * @throws {RuntimeError} `invalid-state` if it is not running
   */
  async attach(id: string, options: AttachOptions): Promise<SessionProcess> {
    const live = this.#live.get(id);
    try {
      return await this.#attachLive(id, live, options);
    } catch (error) {
      if (options.evenEnded !== true) throw error;
      await live?.ended;
      return attachEnded({ ...this.#deps, records: this.#records }, id, options);
    }
  }

  async #attachLive(id: string, live: Live | undefined, options: AttachOptions): Promise<SessionProcess> {
    const guest = live?.guest ?? null;
    const main: AttachableMain = {
      join: guest === null ? { process: await this.requireProcess(id) } : { guest },
      ended: live?.ended ?? Promise.resolve(),
    };
    return attachMain({ ...this.#deps, records: this.#records }, id, main, options);
  }

  /** Must be called when the VM has ended, which ends the run. */
  async vmDied(id: string, reason: string, notify: boolean): Promise<void> {
    const run = await this.#records.run(id);
    const live = this.#live.get(id);
    const isOver = run?.runtimeType !== 'HyperV' || (await this.#records.exit(id)) !== null;
    if (live?.isEnding) return;
    if (live) live.isEnding = true;
    if (!isOver) await this.#record(id, this.#exits.of(128 + SIGNALS.KILL, SIGNALS.KILL, reason));
    if (live === undefined || this.#live.get(id) !== live) return;
    this.#live.delete(id);
    if (!isOver && notify) this.#notifyExit(id);
  }

  /** After a restart: watches a process container again, or records that its end was not observed. */
  async recoverHere(id: string): Promise<void> {
    const run = await this.#records.run(id);
    if (run === null || run.runtimeType !== 'Default' || (await this.#records.exit(id)) !== null) return;
    const { process, supervisor } = run;
    if (process && (isAlive(process) || (supervisor && isAlive(supervisor))))
      this.#watchAdopted(id, run.instanceId, process, supervisor);
    else await this.#fail(id, 'The process ended while the agent was not running');
  }

  /** After a restart: watches the main process of an adopted VM again. */
  async recoverInGuest(
    id: string,
    state: 'never-started' | 'running' | 'ended',
    exit: ExitStatus,
    main: GuestProcess | null,
  ): Promise<void> {
    const run = await this.#records.run(id);
    if (run === null || run.runtimeType !== 'HyperV' || (await this.#records.exit(id)) !== null) return;
    if (state === 'running' && main)
      this.#watchGuest(
        id,
        run.instanceId,
        new GuestMain(main),
        new MainLog(containerPaths(this.#deps.layout, id).log, this.#deps.clock),
      );
    else if (state === 'ended') await this.#records.saveExit(id, this.#exits.inGuest(exit));
    else await this.#fail(id, 'The agent ended before the process was started');
  }

  forget(id: string): void {
    this.#live.delete(id);
  }

  close(): void {
    this.#closed = true;
    this.#live.clear();
  }

  async #begunInGuest(id: string, run: RunRecord, main: GuestProcess): Promise<void> {
    const log = new MainLog(containerPaths(this.#deps.layout, id).log, this.#deps.clock);
    this.#watchGuest(id, run.instanceId, new GuestMain(main, this.#deps.clock), log);
    await main.started.catch((error: unknown) => {
      throw startError(error);
    });
    await this.#records.saveRun(id, { ...run, begun: true });
  }

  async #begunHere(id: string, run: RunRecord, { process, supervisor }: StartedContainer): Promise<void> {
    await this.#records.saveRun(id, { ...run, process, supervisor, begun: true });
    this.#watchHere(id, run.instanceId, process, supervisor, POLL_MS);
  }

  #watchAdopted(
    id: string,
    instanceId: string,
    process: ProcessIdentity,
    supervisor: ProcessIdentity | null,
  ): void {
    this.#watchHere(id, instanceId, process, supervisor, ADOPTED_POLL_MS);
  }

  /** Watches the helper, which writes the exit and ends. Without a helper, watches the process itself. */
  #watchHere(
    id: string,
    instanceId: string,
    process: ProcessIdentity,
    supervisor: ProcessIdentity | null,
    pollMs: number,
  ): void {
    const watched = supervisor && isAlive(supervisor) ? supervisor : process;
    const ended = this.#untilGone(watched, pollMs).then(async () => {
      if (this.#closed || this.#live.get(id)?.instanceId !== instanceId) return;
      if ((await this.#records.exit(id)) === null) {
        // The helper was killed, so the exit code is lost.
        await this.#untilGone(process, pollMs);
        if (this.#closed) return;
        await this.#record(
          id,
          this.#exits.of(null, 0, 'The process and its helper ended, so the exit code is unknown'),
        );
      }
      this.#end(id, instanceId);
    });
    this.#live.set(id, { instanceId, guest: null, process, ended, isEnding: false });
  }

  async #untilGone(process: ProcessIdentity, pollMs: number): Promise<void> {
    while (!this.#closed && isAlive(process)) await sleep(this.#deps.clock, pollMs);
  }

  #watchGuest(id: string, instanceId: string, guest: GuestMain, log: MainLog): void {
    log.follow(guest);
    const ended = guest.process.exited.then(
      async (status) => {
        const live = this.#live.get(id);
        if (this.#closed || live?.instanceId !== instanceId || live.isEnding) return;
        live.isEnding = true;
        // The last output must precede the exit.
        await log.ended;
        await this.#record(id, this.#exits.inGuest(status));
        this.#end(id, instanceId);
      },
      // The connection has ended. The end of the VM is detected separately.
      () => {},
    );
    this.#live.set(id, { instanceId, guest, process: null, ended, isEnding: false });
  }

  #end(id: string, instanceId: string): void {
    if (this.#live.get(id)?.instanceId !== instanceId) return;
    this.#live.delete(id);
    this.#notifyExit(id);
  }

  #notifyExit(id: string): void {
    if (!this.#stopping.has(id)) for (const listener of this.#listeners) listener(id);
  }

  #signal(live: Live, signal: number): void {
    if (live.guest) live.guest.process.kill(signal);
    else if (live.process) killProcess(live.process, signal);
  }

  async #endsWithin({ ended }: Live, ms: number, signal: AbortSignal): Promise<boolean> {
    const stop = new AbortController();
    const waited = sleep(this.#deps.clock, ms, AbortSignal.any([signal, stop.signal])).then(() => false);
    try {
      return await Promise.race([ended.then(() => true), waited]);
    } finally {
      waited.catch(() => {});
      stop.abort();
    }
  }

  async #fail(id: string, reason: string, exitCode: number | null = null): Promise<void> {
    await this.#record(id, this.#exits.of(exitCode, 0, reason));
    this.#live.delete(id);
  }

  /** If the exit can't be written, for example on a full disk, the run ends without an exit code. */
  async #record(id: string, exit: ExitRecord): Promise<void> {
    try {
      await this.#records.saveExit(id, exit);
    } catch (error) {
      this.#deps.log.error('could not record an exit', { containerId: id, reason: messageOf(error) });
    }
  }
}
