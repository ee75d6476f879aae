/**
 * `npm run bench:runtime`: measures the Linux runtime, interleaved with the tools that it uses. Needs root on Linux.
 *
 * Environment variables:
 * - `BENCH_ROUNDS`: number of measurements of each kind. Default: 20.
 * - `BENCH_CROWDS`: numbers of VMs that start at the same time. Default: 10,20; empty for none.
 * - `BENCH_STEADY`: number of starts under a steady load. Default: 60.
 * - `BENCH_REPORT`: the file to write. Default: docs/benchmarks.md.
 * - `BENCH_VALUES`: a file for every value: JSON, the milliseconds of each row in the order of measurement.
 */
import { readFileSync, rmSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { cpus, totalmem } from 'node:os';
import { join } from 'node:path';
import { setUpLinuxRuntime } from '../scripts/setup/linux-runtime.ts';
import { interleaved, median, quantile, type Series } from './measure.ts';
import { openDocker } from './runtime/docker.ts';
import { BenchHost, type ProcessMemory } from './runtime/host.ts';
import { openRunc } from './runtime/runc.ts';

const ROOT = new URL('..', import.meta.url).pathname;
const STATE = join(ROOT, '.bulkhead', 'bench-host');
const ROUNDS = Number(process.env.BENCH_ROUNDS ?? 20);
const CROWDS = (process.env.BENCH_CROWDS ?? '10,20').split(',').map(Number).filter(Boolean);
const STEADY = Number(process.env.BENCH_STEADY ?? 60);
const STEADY_EVERY_MS = 3_000;
const STEADY_POOL = 2;
const REPORT = process.env.BENCH_REPORT ?? join(ROOT, 'docs', 'benchmarks.md');
const VALUES = process.env.BENCH_VALUES;
const report = (line: string) => process.stderr.write(`${line}\n`);

interface Row {
  readonly what: string;
  readonly series: Series;
  readonly against?: Series;
  readonly bar?: string;
}

const ms = (value: number) => (value >= 100 ? value.toFixed(0) : value.toFixed(1));
const rowText = ({ what, series, against, bar }: Row): string => {
  const ratio = against ? (median(series.values) / median(against.values)).toFixed(2) : '';
  const p95 = quantile(series.values, 0.95);
  return `| ${what} | ${ms(median(series.values))} | ${ms(p95)} | ${series.values.length} | ${ratio} | ${bar ?? ''} |`;
};

const valuesOf = (rows: readonly Row[]): string =>
  `${JSON.stringify(Object.fromEntries(rows.map(({ what, series }) => [what, series.values])), null, 2)}\n`;

const measureStarts = async () => {
  const [runc, docker] = await Promise.all([openRunc(ROOT), openDocker(ROOT, report)]);
  const pooled = await BenchHost.open(ROOT, join(STATE, 'pooled'), { poolSize: 1 });
  const cloned = await BenchHost.open(ROOT, join(STATE, 'cloned'), { poolSize: 0 });
  const booted = await BenchHost.open(ROOT, join(STATE, 'booted'), { poolSize: 0, templates: false });
  const off = await pooled.keep('Default');
  const on = await pooled.keep('HyperV');
  try {
    report(`measuring ${ROUNDS} rounds of starts …`);
    const taken = await interleaved(
      [
        ['runc', () => runc.run()],
        ['default', () => pooled.start('Default', 'none')],
        ['default nat', () => pooled.start('Default', 'NAT')],
        ['docker', () => docker?.run() ?? Promise.resolve(Number.NaN)],
        ['pooled', () => pooled.start('HyperV', 'none')],
        ['pooled nat', () => pooled.start('HyperV', 'NAT')],
        ['cloned', () => cloned.start('HyperV', 'none')],
        ['booted', () => booted.start('HyperV', 'none')],
        ['exec default', () => pooled.exec(off)],
        ['exec vm', () => pooled.exec(on)],
        ['to HyperV', () => pooled.convert('Default', 'HyperV')],
        ['to Default', () => pooled.convert('HyperV', 'Default')],
      ],
      ROUNDS,
    );
    return { taken: new Map(taken.map((one) => [one.name, one])), hasDocker: docker !== null };
  } finally {
    await pooled.close();
    await cloned.close();
    await booted.close();
    await runc.close();
    await docker?.close();
  }
};

const measureMany = async (count: number): Promise<string> => {
  report(`starting ${count} utility VMs at once …`);
  const host = await BenchHost.open(ROOT, join(STATE, 'cloned'), { poolSize: 0 });
  try {
    const { all, each, megabytes } = await host.startMany(count);
    return `| ${count} | ${(all / 1000).toFixed(1)} s | ${(median(each) / 1000).toFixed(2)} s | ${megabytes.toFixed(0)} MB |`;
  } finally {
    await host.close();
  }
};

const measureSteady = async (): Promise<string> => {
  report(`measuring ${STEADY} starts under a steady load …`);
  const host = await BenchHost.open(ROOT, join(STATE, 'steady'), { poolSize: STEADY_POOL });
  try {
    const { each, empty } = await host.steady(STEADY, STEADY_EVERY_MS);
    const times = `${ms(median(each))} ms | ${ms(quantile(each, 0.95))} ms`;
    return `| ${STEADY_EVERY_MS / 1000} s | ${each.length} | ${times} | ${empty} | 0 |`;
  } finally {
    await host.close();
  }
};

const memoryRow = (what: string, { pss, own }: ProcessMemory, bar = ''): string =>
  `| ${what} | ${pss.toFixed(0)} MB | ${own.toFixed(0)} MB | ${bar} |`;

const measureMemory = async (): Promise<string[]> => {
  report('measuring the memory of a worker process …');
  const host = await BenchHost.open(ROOT, join(STATE, 'cloned'), { poolSize: 0 });
  try {
    const { started, idle, worked, idleAgain } = await host.memory();
    return [
      memoryRow('a new clone with `sleep`', started),
      memoryRow('the same, idle', idle, '≤ 45 MB'),
      memoryRow('the same after work (300 listings, 16 MB written)', worked),
      memoryRow('the same, idle again', idleAgain),
    ];
  } finally {
    await host.close();
  }
};

const main = async (): Promise<void> => {
  await setUpLinuxRuntime({ root: ROOT, report });
  const { taken, hasDocker } = await measureStarts();
  const get = (name: string): Series => taken.get(name) ?? { name, values: [] };
  const rows: Row[] = [
    { what: 'bare `runc run` of the same image and command', series: get('runc') },
    { what: 'Default, no network', series: get('default'), against: get('runc'), bar: '≤ 2.5 × `runc run`' },
    { what: 'Default, switch NAT', series: get('default nat'), against: get('runc') },
    ...(hasDocker ? [{ what: '`docker run` (no network), Debian’s docker.io', series: get('docker') }] : []),
    { what: 'HyperV from the pool, no network', series: get('pooled'), bar: '≤ 200 ms' },
    {
      what: 'HyperV from the pool, switch NAT',
      series: get('pooled nat'),
      ...(hasDocker ? { against: get('docker'), bar: '< 1 × `docker run`' } : {}),
    },
    {
      what: 'HyperV, a new clone',
      series: get('cloned'),
      against: get('pooled'),
      bar: '≤ 2 × pooled + 300 ms',
    },
    { what: 'HyperV, booted', series: get('booted'), against: get('pooled') },
    { what: 'exec in Default (runc)', series: get('exec default') },
    { what: 'exec in HyperV', series: get('exec vm'), against: get('exec default') },
    {
      what: 'conversion of a running container, Default → HyperV',
      series: get('to HyperV'),
      against: get('pooled'),
      bar: '≤ 2 × pooled',
    },
    { what: 'conversion of a running container, HyperV → Default', series: get('to Default') },
  ];
  if (VALUES) await writeFile(VALUES, valuesOf(rows));
  const manyRows: string[] = [];
  for (const count of CROWDS) manyRows.push(await measureMany(count));
  const steadyRow = await measureSteady();
  const memory = await measureMemory();
  const text = documentOf(rows.map(rowText), { manyRows, steadyRow, memory, hasDocker });
  await writeFile(REPORT, text);
  process.stdout.write(text);
  rmSync(STATE, { recursive: true, force: true });
};

const machine = (): string => {
  const os = /^PRETTY_NAME="(.*)"$/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1];
  const kernel = readFileSync('/proc/sys/kernel/osrelease', 'utf8').trim();
  return `${cpus().length} × ${cpus()[0]?.model}, ${Math.round(totalmem() / 2 ** 30)} GiB, ${os}, kernel ${kernel}`;
};

const documentOf = (
  rows: readonly string[],
  {
    manyRows,
    steadyRow,
    memory,
    hasDocker,
  }: { manyRows: readonly string[]; steadyRow: string; memory: readonly string[]; hasDocker: boolean },
): string => `# Benchmarks of the Linux runtime

Written by \`npm run bench:runtime\`. Run it to measure your machine. This report is from ${machine()}.
Utility VMs ran under \`${BenchHost.accelerator}\`.

A start is measured from the command to the first output of the main process in the log. It includes the writable
layer, network, mounts, VM or claim, and process, but not the API and the workflow. The measurements are interleaved:
one of each kind in turn. Times are in milliseconds.

| What | median | p95 | n | ratio | bar |
|---|---|---|---|---|---|
${rows.join('\n')}
${hasDocker ? '' : '\nThis machine has no `dockerd`, so `docker run` was not measured.\n'}
## Steady load

A start at each interval, with a pool of ${STEADY_POOL} VMs. Each container is removed once it runs.

| interval | starts | median | p95 | found the pool empty | bar |
|---|---|---|---|---|---|
${steadyRow}

## Many at once

New clones, none from the pool, all requested at the same time.

| VMs | until all ran | median | memory of all workers (PSS) |
|---|---|---|---|
${manyRows.join('\n')}

## Memory of one worker process

PSS is the process's memory with its part of the pages that it shares. Its own memory is not shared with any process or file.
No other utility VM runs, so pages of the template and of QEMU's program are not divided. A VM that is idle for a minute
returns memory to the host, mostly translated code.

| VM | PSS | own | bar |
|---|---|---|---|
${memory.join('\n')}
`;

await main();
