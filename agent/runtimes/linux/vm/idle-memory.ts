import { type Cancel, type Clock, nothingToCancel } from '../../../clock.ts';
import { cpuMsOf, killProcess, type ProcessIdentity } from '../proc.ts';

/** A VM counts as idle after this time without a request and with little use of the processor. */
export const IDLE_MS = 60_000;
/** Use of the processor by a worker whose VM only waits, and its timers run: 2 %. */
const WAITING_SHARE = 0.02;
/** Less use of the processor since the last time leaves too little memory to return. */
const WORTHWHILE_MS = 1_000;
/** `preload/idle-memory.c` receives it. A process without that library ignores it. */
const RETURN_MEMORY = 'SIGURG';

export interface WatchedVm {
  readonly id: string;
  readonly worker: ProcessIdentity;
  /** Number of processes that were started in the VM. */
  readonly requests: number;
}

interface Seen {
  readonly requests: number;
  readonly cpuMs: number;
  /** Use of the processor until memory was last returned. */
  readonly returnedAtCpuMs: number;
}

/** What this class needs of the machine. */
export interface WorkerProcesses {
  /** Processor time that a process has used, in milliseconds; null if it has ended. */
  readonly cpuMs: (worker: ProcessIdentity) => number | null;
  readonly returnMemory: (worker: ProcessIdentity) => void;
}

export const workerProcesses: WorkerProcesses = {
  cpuMs: cpuMsOf,
  returnMemory: (worker) => killProcess(worker, RETURN_MEMORY),
};

/**
 * Lets the workers of idle VMs return memory to the host, mostly translated code. The next request of such a VM takes longer, so
 * VMs that wait in the pool keep it.
 */
export class IdleMemory {
  readonly #clock: Pick<Clock, 'after'>;
  readonly #idleMs: number;
  readonly #listVms: () => readonly WatchedVm[];
  readonly #processes: WorkerProcesses;
  #seen: ReadonlyMap<string, Seen> = new Map();
  #cancel: Cancel = nothingToCancel;

  /** @param listVms the VMs of containers whose main process has started */
  constructor(
    clock: Pick<Clock, 'after'>,
    idleMs: number,
    listVms: () => readonly WatchedVm[],
    processes: WorkerProcesses = workerProcesses,
  ) {
    this.#clock = clock;
    this.#idleMs = idleMs;
    this.#listVms = listVms;
    this.#processes = processes;
    this.#wait();
  }

  close(): void {
    this.#cancel();
  }

  #wait(): void {
    this.#cancel = this.#clock.after(this.#idleMs, () => {
      const seen = this.#listVms().flatMap((vm) => this.#visit(vm) ?? []);
      this.#seen = new Map(seen);
      this.#wait();
    });
  }

  #visit({ id, worker, requests }: WatchedVm): [readonly [string, Seen]] | null {
    const cpuMs = this.#processes.cpuMs(worker);
    if (cpuMs === null) return null;
    const before = this.#seen.get(id);
    const isIdle = before?.requests === requests && cpuMs - before.cpuMs <= this.#idleMs * WAITING_SHARE;
    const returnedAtCpuMs = before?.returnedAtCpuMs ?? Number.NEGATIVE_INFINITY;
    if (!isIdle || cpuMs - returnedAtCpuMs < WORTHWHILE_MS)
      return [[id, { requests, cpuMs, returnedAtCpuMs }]];
    this.#processes.returnMemory(worker);
    return [[id, { requests, cpuMs, returnedAtCpuMs: cpuMs }]];
  }
}
