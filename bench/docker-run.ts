/**
 * `npm run bench:docker`: measures `docker run --rm` of a short process through the bridge, and with a docker engine on this
 * machine for comparison, interleaved. Needs root on Linux and Debian's docker.io; writes `docs/benchmarks-docker.md`.
 * `BENCH_ROUNDS` is the number of runs of each kind. Default: 20. `BENCH_VALUES=file` also writes every value as JSON.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { runOrFail } from '../agent/runtimes/linux/run-command.ts';
import { canHostLinux } from '../test/helpers/linux-host.ts';
import { type LocalCloud, startLocalCloud, waitForHosts } from '../test/helpers/local-cloud.ts';
import { startProgram } from '../test/helpers/run-program.ts';
import { interleaved, type Measurement, median, quantile, type Series, timed } from './measure.ts';
import { CLIENT, openDocker } from './runtime/docker.ts';

const ROOT = new URL('..', import.meta.url).pathname;
const ROUNDS = Number(process.env.BENCH_ROUNDS ?? 20);
const BAR_MS = 330;
const WARM_VMS = 3;
/** Time before each run: the pool replaces the VM that was claimed, and the clean-up of the last run ends. */
const PAUSE_MS = 2_000;
const report = (line: string) => process.stderr.write(`${line}\n`);

const ENGINE = '`docker run --rm mini echo` with the docker engine, no network';
const ISOLATIONS = { Default: 'process', HyperV: 'hyperv' } as const;

const startBridge = async (cloud: LocalCloud, folder: string) => {
  const host = `unix://${folder}/docker.sock`;
  const bridge = ['--disable-warning=ExperimentalWarning', join(ROOT, 'bin/bulkhead.ts'), 'docker'];
  const settings = { BULKHEAD_API_URL: cloud.apiUrl, BULKHEAD_TOKEN: cloud.token };
  const { stop } = await startProgram(process.execPath, [...bridge, '--host', host], settings);
  return { host, stop };
};

const throughBridge = (host: string): Measurement[] =>
  Object.entries(ISOLATIONS).map(([type, isolation]) => [
    `through the bridge, ${type}${type === 'HyperV' ? ' from the pool' : ''}, switch NAT`,
    async () => {
      const args = ['-H', host, 'run', '--rm', `--isolation=${isolation}`, 'mini', 'echo', 'started'];
      return timed(() => runOrFail('docker run', CLIENT, args));
    },
  ]);

const rested = ([name, once]: Measurement): Measurement => [
  name,
  async () => {
    await sleep(PAUSE_MS);
    return once();
  },
];

const row = ({ name, values }: Series, engine: Series | undefined): string => {
  const isEngine = name === ENGINE;
  const ratio = engine === undefined || isEngine ? '' : (median(values) / median(engine.values)).toFixed(2);
  const verdict = median(values) <= BAR_MS ? 'met' : 'missed';
  const figures = [median(values), quantile(values, 0.95)].map((value) => value.toFixed(0));
  return `| ${name} | ${figures.join(' | ')} | ${values.length} | ${ratio} | ${isEngine ? '' : verdict} |`;
};

const textOf = (series: readonly Series[]): string => {
  const engine = series.find(({ name }) => name === ENGINE);
  return [
    '# `docker run` through the bridge',
    '',
    `Written by \`npm run bench:docker\` on ${cpus().length} × ${cpus()[0]?.model ?? 'unknown'}, Node ${process.version}.`,
    '',
    'The time of the whole command `docker run --rm mini echo started`: create, attach, start, output, exit code and removal.',
    'The embedded cloud, the agent and the bridge share the machine. The runs are interleaved: one of each kind in turn.',
    'Times are in milliseconds.',
    '',
    `| What | median | p95 | n | ratio to the engine | bar: ≤ ${BAR_MS} |`,
    '|---|---|---|---|---|---|',
    ...series.map((one) => row(one, engine)),
    '',
  ].join('\n');
};

const main = async (): Promise<void> => {
  if (!(await canHostLinux())) return;
  const folder = mkdtempSync(join(tmpdir(), 'bulkhead-bench-docker-run-'));
  const engine = await openDocker(ROOT, report);
  const cloud = await startLocalCloud({ arguments: ['--warm-vms', String(WARM_VMS)] });
  try {
    await waitForHosts(cloud, 1);
    const bridge = await startBridge(cloud, folder);
    try {
      const ofEngine: Measurement[] = engine === null ? [] : [[ENGINE, () => engine.runToEnd()]];
      report(`measuring ${ROUNDS} runs of each kind …`);
      const series = await interleaved([...ofEngine, ...throughBridge(bridge.host)].map(rested), ROUNDS);
      const text = textOf(series);
      await writeFile(join(ROOT, 'docs/benchmarks-docker.md'), text);
      if (process.env.BENCH_VALUES) await writeFile(process.env.BENCH_VALUES, JSON.stringify(series));
      process.stdout.write(text);
    } finally {
      await bridge.stop();
    }
  } finally {
    await cloud.stop();
    await engine?.close();
    rmSync(folder, { recursive: true, force: true });
  }
};

await main();
