import { setTimeout as sleep } from 'node:timers/promises';
import { BenchmarkError, median, timed } from '../measure.ts';
import { cpuSeconds, memoryByKind } from './process-tree.ts';
import { StartedCloud } from './started-cloud.ts';

const AT_ONCE = 10;
const POLL_MS = 500;
const PAGE = 200;
const BUSY = 503;
const TAKEN = 409;
const SMALL = { memoryMB: 16, cpus: 0.01, diskMB: 64 };
const ROOMY = ['--simulate-memory-mb', '1000000', '--simulate-cpus', '10000'];

const KINDS = {
  'npm and the bootstrap': /^npm|bootstrap\.mjs/,
  'DynamoDB engine': /dynoxide serve/,
  agents: /agent\/main/,
  'embedded cloud': /bin\/local/,
};

/** In turn for the Linux host and for the two Windows hosts, so that each gets a third. */
const programOf = (number: number) =>
  number % 3 === 0 ? { image: 'mini', command: ['sleep', '100000'] } : { image: 'nanoserver' };

export type Memory = ReadonlyMap<string, number>;

export interface Creates {
  readonly count: number;
  /** Until the last request was accepted, in milliseconds. */
  readonly acceptedMs: number;
  /** Until all containers ran, in milliseconds. */
  readonly runningMs: number;
  /** Of one request, in milliseconds. */
  readonly medianMs: number;
  /** Of all processes, for each container, in milliseconds. */
  readonly cpuMs: number;
}

/** Memory of `npm start` with one simulated host, after `seconds` without requests. */
export const measureIdle = async (root: string, seconds: number): Promise<Memory> => {
  const cloud = await StartedCloud.open(root, ['--host', 'simulated']);
  try {
    await sleep(seconds * 1_000);
    return memoryByKind(cloud.pid, KINDS);
  } finally {
    await cloud.stop();
  }
};

/** `npm start` with three simulated hosts that have space for every container. */
export class SimulatedHosts {
  readonly #cloud: StartedCloud;
  #created = 0;

  static async open(root: string): Promise<SimulatedHosts> {
    return new SimulatedHosts(await StartedCloud.open(root, ['--host', 'none', '--simulate', '3', ...ROOMY]));
  }

  private constructor(cloud: StartedCloud) {
    this.#cloud = cloud;
  }

  /** Creates and starts `count` containers, with `atOnce` requests at a time, and waits until all run. */
  async create(count: number, atOnce = AT_ONCE): Promise<Creates> {
    const cpuBefore = cpuSeconds(this.#cloud.pid);
    const began = performance.now();
    const each: number[] = [];
    let left = count;
    const work = async () => {
      while (left > 0) {
        left -= 1;
        each.push(await timed(() => this.#createOne(`bench-${this.#created++}`)));
      }
    };
    await Promise.all(Array.from({ length: atOnce }, work));
    const acceptedMs = performance.now() - began;
    while ((await this.#running()) < this.#created) await sleep(POLL_MS);
    const runningMs = performance.now() - began;
    const cpuMs = ((cpuSeconds(this.#cloud.pid) - cpuBefore) * 1_000) / count;
    return { count, acceptedMs, runningMs, medianMs: median(each), cpuMs };
  }

  memory(): Memory {
    return memoryByKind(this.#cloud.pid, KINDS);
  }

  stop(): Promise<void> {
    return this.#cloud.stop();
  }

  /** A request that the API timed out may have been accepted, so it is repeated with the same name. */
  async #createOne(name: string): Promise<void> {
    const request = { name, ...programOf(this.#created), resources: SMALL, start: true };
    for (let attempt = 0; ; attempt += 1) {
      const { status, body } = await this.#cloud.call('POST', '/v1/containers', request);
      if (status === 202 || (status === TAKEN && attempt > 0)) return;
      if (status !== BUSY) throw new BenchmarkError(`create returned ${status}: ${JSON.stringify(body)}`);
    }
  }

  async #running(): Promise<number> {
    let count = 0;
    let cursor: string | null = null;
    do {
      const from: string = cursor === null ? '' : `&cursor=${encodeURIComponent(cursor)}`;
      const { body } = await this.#cloud.call('GET', `/v1/compute-processes?limit=${PAGE}${from}`);
      count += body.items.length;
      cursor = body.nextCursor;
    } while (cursor !== null);
    return count;
  }
}
