import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { containerPaths, createLayout, type Layout } from '../../agent/runtimes/linux/layout.ts';
import { stateFiles } from '../../agent/state-directory.ts';
import type { RuntimeType } from '../../core/contract/primitives.ts';
import { BenchmarkError, interleaved, type Measurement, type Series } from '../measure.ts';
import { BenchHost } from '../runtime/host.ts';
import { StartedCloud } from './started-cloud.ts';

const TYPES = ['Default', 'HyperV'] as const;
const COMMAND = ['sh', '-c', 'echo started; exec sleep 4321'];
const LIMIT_MS = 60_000;
/** Time for both hosts to fill their pools again. */
const REFILL_MS = 3_000;

const untilOutput = async (layout: Layout, id: string): Promise<number> => {
  const { log } = containerPaths(layout, id);
  for (const deadline = performance.now() + LIMIT_MS; performance.now() < deadline; await sleep(1)) {
    try {
      if (readFileSync(log, 'utf8').includes('started')) return performance.now();
    } catch {
      // The log exists once the process has written output.
    }
  }
  throw new BenchmarkError(`container ${id} wrote no output`);
};

/** `npm start` with this machine as its host. */
class RealHost {
  readonly #cloud: StartedCloud;
  readonly #layout: Layout;

  static async open(root: string): Promise<RealHost> {
    const cloud = await StartedCloud.open(root, ['--warm-vms', '1']);
    const hosts = join(cloud.stateDir, 'hosts');
    const [name = ''] = readdirSync(hosts);
    return new RealHost(cloud, createLayout(stateFiles(join(hosts, name)).linux));
  }

  private constructor(cloud: StartedCloud, layout: Layout) {
    this.#cloud = cloud;
    this.#layout = layout;
  }

  /** @returns milliseconds from the request to the first output, and to the end of the operation */
  async start(runtimeType: RuntimeType): Promise<{ readonly output: number; readonly ended: number }> {
    const body = { image: 'mini', runtimeType, switchName: 'none', command: COMMAND, start: true };
    const began = performance.now();
    const created = await this.#cloud.call('POST', '/v1/containers', body);
    if (created.status !== 202) throw new BenchmarkError(`create: ${JSON.stringify(created.body)}`);
    const { container, operation } = created.body;
    const [output, ended] = await Promise.all([
      untilOutput(this.#layout, container.id),
      this.#end(operation.id),
    ]);
    const removed = await this.#cloud.call('DELETE', `/v1/containers/${container.id}?force=true`);
    await this.#end(removed.body.operation.id);
    return { output: output - began, ended: ended - began };
  }

  stop(): Promise<void> {
    return this.#cloud.stop();
  }

  async #end(operationId: string): Promise<number> {
    const { body } = await this.#cloud.call('GET', `/v1/operations/${operationId}?waitSeconds=25`);
    if (body.state !== 'Succeeded') throw new BenchmarkError(`operation: ${JSON.stringify(body)}`);
    return performance.now();
  }
}

export interface StartTimes {
  readonly type: RuntimeType;
  /** From the command to the runtime to the first output. */
  readonly alone: Series;
  /** From the request to the first output. */
  readonly output: Series;
  /** From the request to the response that the operation succeeded. */
  readonly ended: Series;
}

/** Starts containers through the API and by the runtime alone, interleaved. */
export const measureRealHost = async (root: string, rounds: number): Promise<StartTimes[]> => {
  const alone = await BenchHost.open(root, join(root, '.bulkhead', 'bench-host', 'alone'), { poolSize: 1 });
  const through = await RealHost.open(root).catch(async (error: unknown) => {
    await alone.close();
    throw error;
  });
  try {
    const ended = new Map<RuntimeType, number[]>(TYPES.map((type) => [type, []]));
    const measurements = TYPES.flatMap((type): Measurement[] => [
      [`${type} alone`, () => alone.start(type, 'none')],
      [
        `${type} through`,
        async () => {
          await sleep(REFILL_MS);
          const times = await through.start(type);
          ended.get(type)?.push(times.ended);
          return times.output;
        },
      ],
    ]);
    const series = new Map((await interleaved(measurements, rounds)).map((one) => [one.name, one]));
    const of = (name: string): Series => series.get(name) ?? { name, values: [] };
    return TYPES.map((type) => ({
      type,
      alone: of(`${type} alone`),
      output: of(`${type} through`),
      // Without the first round, as the other series.
      ended: { name: `${type} ended`, values: (ended.get(type) ?? []).slice(1) },
    }));
  } finally {
    await through.stop();
    await alone.close();
  }
};
