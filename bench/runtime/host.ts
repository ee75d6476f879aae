import { randomBytes, randomUUID } from 'node:crypto';
import { mkdirSync, readFileSync } from 'node:fs';
import { systemClock } from '../../agent/clock.ts';
import { executePlan } from '../../agent/execute/execute-plan.ts';
import { StepRecorder } from '../../agent/execute/step-recorder.ts';
import { createLog } from '../../agent/log.ts';
import { plan, type Target } from '../../agent/plan/plan.ts';
import { allSettled } from '../../agent/runtimes/linux/all-settled.ts';
import { containerPaths, createLayout, type Layout } from '../../agent/runtimes/linux/layout.ts';
import type { LinuxRuntime } from '../../agent/runtimes/linux/linux-runtime.ts';
import { openLinuxHost } from '../../agent/runtimes/linux/open-host.ts';
import type { ExecRequest } from '../../agent/runtimes/session-process.ts';
import { collectOutput } from '../../agent/sessions/collect-output.ts';
import type { AssignedContainer } from '../../core/contract/agent/commands.ts';
import { DEFAULT_NETWORK } from '../../core/contract/network.ts';
import { DEFAULT_RESOURCES, type RuntimeType } from '../../core/contract/primitives.ts';
import { artifactsFolder } from '../../scripts/setup/linux-runtime.ts';
import { BenchmarkError, timed } from '../measure.ts';

const COMMAND = ['sh', '-c', 'echo started; exec sleep 4321'];
const IDLE_MS = 3_000;
const SETTLE_MS = 50;
/** Short, so that the benchmark does not wait for the default of a minute. The result is the same. */
const IDLE_VM_MS = 10_000;
/** An idle worker has returned its memory when it is this much smaller. */
const RETURNED_SHARE = 0.9;
const never = new AbortController().signal;
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
/** Much longer than any successful wait. */
const MAX_WAIT_MS = 60_000;

const until = async (what: string, everyMs: number, isTrue: () => boolean): Promise<void> => {
  const deadline = performance.now() + MAX_WAIT_MS;
  while (!isTrue()) {
    if (performance.now() > deadline) throw new BenchmarkError(`Timed out waiting for ${what}`);
    await pause(everyMs);
  }
};

const make = (runtimeType: RuntimeType, switchName: string): AssignedContainer => ({
  id: randomUUID(),
  name: 'bench',
  runtimeType,
  spec: {
    image: 'mini',
    switchName,
    ...DEFAULT_NETWORK,
    command: COMMAND,
    resources: { ...DEFAULT_RESOURCES },
    restartPolicy: { name: 'no' },
  },
});

/** Memory of a process in MB. Shared pages count in part: a page of two processes counts half. */
export interface ProcessMemory {
  readonly pss: number;
  /** Memory of no other process and of no file. */
  readonly own: number;
}

const memoryOf = (pid: number): ProcessMemory => {
  const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
  const megabytes = (name: string) =>
    Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(rollup)?.[1] ?? 0) / 1024;
  return { pss: megabytes('Pss'), own: megabytes('Anonymous') };
};

/** A separate host, which executes plans as the agent does. */
export class BenchHost {
  /** The accelerator of the utility VMs of the host that was opened last. */
  static accelerator = '';
  readonly #runtime: LinuxRuntime;
  readonly #layout: Layout;
  readonly #poolSize: number;

  static async open(
    root: string,
    state: string,
    options: { poolSize: number; templates?: boolean },
  ): Promise<BenchHost> {
    mkdirSync(state, { recursive: true });
    const log = createLog({
      level: 'warn',
      forPeople: true,
      clock: systemClock,
      write: (line) => process.stderr.write(`${line}\n`),
    });
    const runtime = await openLinuxHost({
      clock: systemClock,
      log,
      newId: randomUUID,
      randomBytes,
      artifactsFolder: artifactsFolder(root),
      stateFolder: state,
      poolResources: DEFAULT_RESOURCES,
      imageFolders: [],
      idleVmMs: IDLE_VM_MS,
      ...options,
    });
    BenchHost.accelerator = (await runtime.facts()).hypervisor;
    const host = new BenchHost(runtime, createLayout(state), options.poolSize);
    // Creates the template, so that the first clone does not wait for it.
    if (options.templates !== false) await host.#remove(await host.keep('HyperV'));
    return host;
  }

  private constructor(runtime: LinuxRuntime, layout: Layout, poolSize: number) {
    this.#runtime = runtime;
    this.#layout = layout;
    this.#poolSize = poolSize;
  }

  /** Starts a container until its first output, and removes it. @returns milliseconds */
  async start(runtimeType: RuntimeType, switchName: string): Promise<number> {
    const container = make(runtimeType, switchName);
    await this.#ready();
    const ms = await timed(() => this.#startToOutput(container));
    await this.#remove(container);
    return ms;
  }

  /**
   * Starts a container at each interval, whether or not the pool is full, and removes it.
   * @returns the milliseconds of each start, and how many found no VM in the pool
   */
  async steady(count: number, everyMs: number): Promise<{ each: number[]; empty: number }> {
    await this.#ready();
    const each: number[] = [];
    let empty = 0;
    for (let nth = 0; nth < count; nth++) {
      const next = pause(everyMs);
      if (this.#runtime.readyVms === 0) empty += 1;
      const container = make('HyperV', 'none');
      each.push(await timed(() => this.#startToOutput(container)));
      await this.#remove(container);
      await next;
    }
    return { each, empty };
  }

  /** Converts a running container. @returns its downtime in milliseconds */
  async convert(from: RuntimeType, to: RuntimeType): Promise<number> {
    const container = make(from, 'none');
    await this.#startToOutput(container);
    await this.#ready();
    const ms = await timed(async () => {
      await this.#reach(container, 'Off');
      await this.#startToOutput({ ...container, runtimeType: to }, 2);
    });
    await this.#remove(container);
    return ms;
  }

  /** Starts a container for `exec`, which the caller keeps. */
  async keep(runtimeType: RuntimeType): Promise<AssignedContainer> {
    const container = make(runtimeType, 'none');
    await this.#reach(container, 'Running');
    return container;
  }

  exec({ id }: AssignedContainer): Promise<number> {
    return timed(() => this.#exec(id, { command: ['echo', 'hi'] }));
  }

  #exec(id: string, request: ExecRequest) {
    return this.#runtime.startExec(id, request).then((process) =>
      collectOutput(process, systemClock, {
        keptBytes: 1024 * 1024,
        timeoutMs: 60_000,
        signal: new AbortController().signal,
      }),
    );
  }

  async startMany(count: number): Promise<{ all: number; each: number[]; megabytes: number }> {
    const containers = Array.from({ length: count }, () => make('HyperV', 'none'));
    const each: number[] = [];
    const all = await timed(() =>
      // If a start fails, the others end before the host is closed.
      allSettled(
        containers.map(async (container) => each.push(await timed(() => this.#startToOutput(container)))),
      ),
    );
    await pause(IDLE_MS);
    let megabytes = 0;
    for (const { id } of containers) megabytes += (await this.#memoryOf(id)).pss;
    for (const container of containers) await this.#remove(container);
    return { all, each, megabytes };
  }

  /** Memory of one worker process: of a new clone, once it is idle, after work, and once it is idle again. */
  async memory(): Promise<Record<'started' | 'idle' | 'worked' | 'idleAgain', ProcessMemory>> {
    const container = await this.keep('HyperV');
    await pause(IDLE_MS);
    const started = await this.#memoryOf(container.id);
    const idle = await this.#untilIdle(container.id, started);
    const work =
      'i=0; while [ $i -lt 300 ]; do i=$((i+1)); ls -laR /bin > /tmp/x; done; dd if=/dev/urandom of=/data bs=1M count=16';
    await this.#exec(container.id, { command: ['sh', '-c', work] });
    const worked = await this.#memoryOf(container.id);
    const idleAgain = await this.#untilIdle(container.id, worked);
    await this.#remove(container);
    return { started, idle, worked, idleAgain };
  }

  /** Waits until an idle worker has returned memory. */
  async #untilIdle(id: string, before: ProcessMemory): Promise<ProcessMemory> {
    let now = before;
    const deadline = performance.now() + MAX_WAIT_MS;
    while (now.pss > before.pss * RETURNED_SHARE) {
      if (performance.now() > deadline) throw new BenchmarkError('An idle VM has not returned memory');
      await pause(SETTLE_MS);
      now = await this.#memoryOf(id);
    }
    await pause(IDLE_MS);
    return this.#memoryOf(id);
  }

  async close(): Promise<void> {
    for (const { id } of await this.#runtime.inspect()) await this.#removeById(id);
    await this.#runtime.shutDown();
  }

  async #startToOutput(container: AssignedContainer, lines = 1): Promise<void> {
    const output = this.#untilOutput(container.id, lines);
    await this.#reach(container, 'Running');
    await output;
  }

  /** Polls the log, which exists once the process has written output. */
  async #untilOutput(id: string, lines: number): Promise<void> {
    const { log } = containerPaths(this.#layout, id);
    const has = () => {
      try {
        return (readFileSync(log, 'utf8').match(/started/g) ?? []).length >= lines;
      } catch {
        return false;
      }
    };
    await until(`the output of container ${id}`, 1, has);
  }

  /** Waits until the pool is full, and for a short time after that. */
  async #ready(): Promise<void> {
    await until('a full pool', SETTLE_MS, () => this.#runtime.readyVms >= this.#poolSize);
    await pause(SETTLE_MS);
  }

  async #memoryOf(id: string): Promise<ProcessMemory> {
    const [observed] = await this.#runtime.inspect(id);
    return memoryOf(observed?.workerProcess?.pid ?? 0);
  }

  async #reach(container: AssignedContainer, target: Target): Promise<void> {
    const [observed = null] = await this.#runtime.inspect(container.id);
    const assignment = {
      containerId: container.id,
      container,
      target,
      stopTimeoutSeconds: 0,
      instanceId: randomUUID(),
      acceptUntrustedDisk: true,
    };
    await this.#execute(plan(assignment, observed));
  }

  #remove({ id }: AssignedContainer): Promise<void> {
    return this.#removeById(id);
  }

  async #removeById(id: string): Promise<void> {
    const [observed = null] = await this.#runtime.inspect(id);
    const assignment = {
      containerId: id,
      container: null,
      target: 'Absent' as const,
      stopTimeoutSeconds: 0,
      instanceId: '',
    };
    await this.#execute(plan(assignment, observed));
  }

  #execute(steps: ReturnType<typeof plan>): Promise<void> {
    const recorder = new StepRecorder(systemClock, () => undefined);
    return executePlan({ runtime: this.#runtime, clock: systemClock }, steps, { recorder, signal: never });
  }
}
