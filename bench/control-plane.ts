/**
 * `npm run bench:control-plane`: measures `npm start` with simulated hosts (rate of creates, a burst, memory) and, as root
 * on Linux, the share of the control plane in a start on this machine. Writes `docs/benchmarks-control-plane.md`.
 *
 * Environment variables:
 * - `BENCH_CREATES`: number of containers on the simulated hosts. Default: 1000.
 * - `BENCH_ROUNDS`: number of starts of each runtime type on this machine; 0 for none. Default: 20.
 * - `BENCH_IDLE_SECONDS`: time without requests before the memory of an idle `npm start` is measured. Default: 120.
 * - `BENCH_REPORT`: the file to write. Default: docs/benchmarks-control-plane.md.
 */
import { rmSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { cpus, loadavg } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { SetUpRefusedError, setUpLinuxRuntime } from '../scripts/setup/linux-runtime.ts';
import { measureRealHost, type StartTimes } from './control-plane/real-host.ts';
import { type Creates, type Memory, measureIdle, SimulatedHosts } from './control-plane/simulated.ts';
import { median, quantile } from './measure.ts';

const ROOT = new URL('..', import.meta.url).pathname;
const CREATES = Number(process.env.BENCH_CREATES ?? 1_000);
const ROUNDS = Number(process.env.BENCH_ROUNDS ?? 20);
const IDLE_SECONDS = Number(process.env.BENCH_IDLE_SECONDS ?? 120);
const REPORT = process.env.BENCH_REPORT ?? join(ROOT, 'docs', 'benchmarks-control-plane.md');
const BARS = { rate: 40, burstSeconds: 12, idleMB: 300, loadedMB: 500, shareMs: 60 };
const report = (line: string) => process.stderr.write(`${line}\n`);

const verdict = (isMet: boolean, bar: string): string => `${bar}: ${isMet ? 'met' : 'missed'}`;
const total = (memory: Memory): number => [...memory.values()].reduce((sum, one) => sum + one, 0);

interface Simulated {
  readonly idle: Memory;
  readonly steady: Creates;
  readonly burst: Creates;
  readonly loaded: Memory;
  readonly later: Memory;
}

const measureSimulated = async (): Promise<Simulated> => {
  report(`waiting ${IDLE_SECONDS} s for the memory of an idle npm start …`);
  const idle = await measureIdle(ROOT, IDLE_SECONDS);
  const hosts = await SimulatedHosts.open(ROOT);
  try {
    const [first, second] = [Math.ceil(CREATES / 10), Math.ceil(CREATES / 2)];
    await hosts.create(first);
    report('creating containers, 10 requests at a time …');
    const steady = await hosts.create(CREATES - first - second);
    report(`creating ${second} containers at once …`);
    const burst = await hosts.create(second, second);
    const loaded = hosts.memory();
    await sleep(IDLE_SECONDS * 1_000);
    return { idle, steady, burst, loaded, later: hosts.memory() };
  } finally {
    await hosts.stop();
  }
};

const rateRows = ({ steady, burst }: Simulated): string[] => {
  const rate = (steady.count * 1_000) / steady.acceptedMs;
  const seconds = burst.runningMs / 1_000;
  return [
    `| creates a second, 10 requests at a time (${steady.count}) | ${rate.toFixed(1)} | ${verdict(rate >= BARS.rate, `≥ ${BARS.rate}`)} |`,
    `| the same until all containers run, containers a second | ${((steady.count * 1_000) / steady.runningMs).toFixed(1)} | |`,
    `| one of these requests, median | ${steady.medianMs.toFixed(0)} ms | |`,
    `| burst of ${burst.count} creates until all containers run | ${seconds.toFixed(1)} s | ${verdict(seconds <= BARS.burstSeconds, `≤ ${BARS.burstSeconds} s`)} |`,
    `| CPU time of all processes for each container, 10 at a time | ${steady.cpuMs.toFixed(1)} ms | |`,
    `| the same in the burst | ${burst.cpuMs.toFixed(1)} ms | |`,
  ];
};

const memoryRow = (what: string, memory: Memory, bar?: number): string => {
  const parts = [...memory].map(([kind, size]) => `${kind} ${size.toFixed(0)}`).join(', ');
  const met = bar === undefined ? '' : verdict(total(memory) <= bar, `≤ ${bar} MB`);
  return `| ${what} | ${total(memory).toFixed(0)} MB | ${parts} | ${met} |`;
};

const memoryRows = ({ idle, loaded, later }: Simulated): string[] => [
  memoryRow(`one simulated host, idle for ${IDLE_SECONDS} s`, idle, BARS.idleMB),
  memoryRow(`three simulated hosts, after ${CREATES} creates`, loaded, BARS.loadedMB),
  memoryRow(`the same, ${IDLE_SECONDS} s later`, later),
];

const startRow = ({ type, alone, output, ended }: StartTimes): string => {
  const share = median(output.values) - median(alone.values);
  const figures = [alone, output, ended].map(({ values }) => median(values).toFixed(0));
  const p95 = quantile(output.values, 0.95).toFixed(0);
  return `| ${type} | ${figures.join(' | ')} | ${p95} | ${share.toFixed(0)} ms | ${verdict(share <= BARS.shareMs, `≤ ${BARS.shareMs} ms`)} |`;
};

/** @returns null if this machine cannot be a host */
const measureThisMachine = async (): Promise<StartTimes[] | null> => {
  if (ROUNDS === 0) return null;
  try {
    await setUpLinuxRuntime({ root: ROOT, report });
  } catch (error) {
    if (!(error instanceof SetUpRefusedError)) throw error;
    report(`starts on this machine are not measured: ${error.message}`);
    return null;
  }
  report(`measuring ${ROUNDS} rounds of starts on this machine …`);
  return measureRealHost(ROOT, ROUNDS);
};

const startsText = (starts: readonly StartTimes[] | null): string =>
  starts === null
    ? 'Not measured on this machine.'
    : `Starts through the API and by the runtime alone, interleaved, ${ROUNDS} of each. A start is measured to the first output of the main process, without a network. Medians in milliseconds.

| Runtime type | runtime alone | request → output | request → operation succeeded | request → output, p95 | share of the control plane | bar |
|---|---|---|---|---|---|---|
${starts.map(startRow).join('\n')}`;

const main = async (): Promise<void> => {
  const load = loadavg()[0] ?? 0;
  const simulated = await measureSimulated();
  const starts = await measureThisMachine();
  const text = `# Benchmarks of the control plane

Written by \`npm run bench:control-plane\` on ${cpus().length} × ${cpus()[0]?.model ?? 'unknown'}, Node ${process.version}. The load average before it started was ${load.toFixed(1)}. Run it to measure your machine.

## Creates on three simulated hosts

A create starts the container too. The client and the hosts run on the same machine.

| What | | bar |
|---|---|---|
${rateRows(simulated).join('\n')}

## Memory of \`npm start\`

All processes together, as proportional set size (PSS).

| What | | parts | bar |
|---|---|---|---|
${memoryRows(simulated).join('\n')}

## Starts on this machine

${startsText(starts)}
`;
  await writeFile(REPORT, text);
  process.stdout.write(text);
  rmSync(join(ROOT, '.bulkhead', 'bench-host', 'alone'), { recursive: true, force: true });
};

await main();
