/**
 * `npm run bench:stream`: how many records of the table's stream `process-changes` can process a second in one shard on
 * AWS. Measured: the CPU time of a batch, and its time with the latencies of AWS's services. Computed: the time with the
 * CPU share of the function's memory.
 */
import { writeFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { createProcessChangesHandler } from '../functions/process-changes/handler.ts';
import { createLogger } from '../functions/shared/observability/logger.ts';
import { FUNCTION_SPECS } from '../lib/function-specs.ts';
import { containerItem } from '../store/containers.ts';
import type { Item } from '../store/item.ts';
import { operationItem } from '../store/operations.ts';
import type { Table } from '../store/table.ts';
import { startEngine } from '../test/helpers/dynoxide.ts';
import { containerRecord, operationRecord, testId } from '../test/helpers/records.ts';
import { median } from './measure.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const BATCH = 100;
const BATCHES = 50;
const BAR = 500;
/** Assumed latencies of calls within a Region, in milliseconds. */
const LATENCY = { table: 5, bus: 20, execution: 30 };
/** Memory with one vCPU: https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html */
const VCPU_MB = 1769;

const inJson = (item: Item): unknown =>
  JSON.parse(
    JSON.stringify(item, (_name, value) =>
      value?.B instanceof Uint8Array ? { B: Buffer.from(value.B).toString('base64') } : value,
    ),
  );

let sequence = 0;
const record = (before: Item | undefined, after: Item) => {
  sequence += 1;
  return {
    eventName: before === undefined ? 'INSERT' : 'MODIFY',
    dynamodb: {
      SequenceNumber: String(sequence),
      ApproximateCreationDateTime: Math.floor(Date.now() / 1000),
      Keys: { pk: after.pk, sk: after.sk },
      ...(before && { OldImage: inJson(before) }),
      NewImage: inJson(after),
    },
  };
};

/** The four changes of a create with start. */
const changesOf = (number: number, direct: boolean) => {
  const starting = { ...containerRecord('Starting'), id: testId(number) };
  const running = { ...containerRecord('Running'), id: testId(number), revision: starting.revision + 1 };
  const accepted = { ...operationRecord(number), direct, after: null };
  const ended = {
    ...accepted,
    revision: accepted.revision + 1,
    view: { ...accepted.view, state: 'Succeeded' as const },
  };
  return [
    record(undefined, containerItem(starting)),
    record(undefined, operationItem(accepted)),
    record(operationItem(accepted), operationItem(ended)),
    record(containerItem(starting), containerItem(running)),
  ];
};

const slow = (table: Table): Table => ({
  ...table,
  query: async (options) => {
    await sleep(LATENCY.table);
    return table.query(options);
  },
  put: async (input) => {
    await sleep(LATENCY.table);
    return table.put(input);
  },
});

const measure = async (direct: boolean): Promise<{ readonly wallMs: number; readonly cpuMs: number }> => {
  const engine = await startEngine();
  try {
    const { table } = await engine.table();
    const handler = createProcessChangesHandler({
      table: slow(table),
      publish: async () => {
        await sleep(LATENCY.bus);
        return [];
      },
      startWorkflow: async () => {
        await sleep(LATENCY.execution);
        return 'started';
      },
      tasks: { succeed: async () => 'delivered' },
      logger: createLogger({ level: 'error', now: () => new Date(), write: () => undefined }),
      now: () => new Date(),
    });
    const walls: number[] = [];
    const times: number[] = [];
    for (let batch = 0; batch <= BATCHES; batch += 1) {
      const Records = Array.from({ length: BATCH / 4 }, (_, at) =>
        changesOf(batch * BATCH + at, direct),
      ).flat();
      const began = performance.now();
      const cpu = process.cpuUsage();
      await handler({ Records });
      const { user, system } = process.cpuUsage(cpu);
      // The first batch loads code.
      if (batch === 0) continue;
      walls.push(performance.now() - began);
      times.push((user + system) / 1000);
    }
    return { wallMs: median(walls), cpuMs: median(times) };
  } finally {
    await engine.stop();
  }
};

const row = (
  what: string,
  { wallMs, cpuMs }: { readonly wallMs: number; readonly cpuMs: number },
): string => {
  const share = Math.min(1, FUNCTION_SPECS['process-changes'].memoryMB / VCPU_MB);
  const computedMs = wallMs - cpuMs + cpuMs / share;
  const rate = (BATCH / computedMs) * 1000;
  return `| ${what} | ${cpuMs.toFixed(1)} | ${wallMs.toFixed(0)} | ${computedMs.toFixed(0)} | ${rate.toFixed(0)} | ${rate >= BAR ? 'met' : 'missed'} |`;
};

const main = async (): Promise<void> => {
  const rows = [
    row('operations without an execution', await measure(true)),
    row('operations with an execution each', await measure(false)),
  ];
  const { memoryMB } = FUNCTION_SPECS['process-changes'];
  const text = [
    '# The table’s stream',
    '',
    `Written by \`npm run bench:stream\` on ${cpus().length} × ${cpus()[0]?.model ?? 'unknown'}, Node ${process.version}.`,
    '',
    `A batch has the ${BATCH} records of ${BATCH / 4} creates with start. Each call of DynamoDB takes ${LATENCY.table} ms more, of EventBridge ${LATENCY.bus} ms, of Step Functions ${LATENCY.execution} ms. The computed time has the CPU share of ${memoryMB} MB: ${memoryMB} / ${VCPU_MB} of this machine’s core. Medians of ${BATCHES} batches.`,
    '',
    `| A batch of | CPU, ms | measured, ms | computed on Lambda, ms | records a second in one shard | bar: ≥ ${BAR} |`,
    '|---|---|---|---|---|---|',
    ...rows,
    '',
  ].join('\n');
  await writeFile(join(ROOT, 'docs/benchmarks-stream.md'), text);
  process.stdout.write(text);
};

await main();
